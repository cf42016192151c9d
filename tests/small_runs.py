"""The config of a run of seconds, on the fixture `data`."""

from jaxseg import defaults


def config_of(folder, **values):
  """A U-Net of one pooling on a folder of pictures; `values` by their keys."""
  config = defaults.get_config()
  config.update_from_flattened_dict(
    {
      "audit": False,
      "tensorboard": False,
      "data.name": "folder",
      "data.images": str(folder / "images"),
      "data.masks": str(folder / "masks"),
      "data.classes": "ground,square",
      "model.name": "unet",
      "model.depth": 1,
      **values,
    }
  )
  return config
