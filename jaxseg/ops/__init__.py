"""Pure array functions: safe under jit, vmap and grad, any image size."""
