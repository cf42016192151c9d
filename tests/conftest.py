"""Eight fake devices, no compilation cache of the user's, one seed."""

import os

# Before anything imports JAX.
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
