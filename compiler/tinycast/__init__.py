"""tinycast: ONNX models to standalone C and WebAssembly."""

__version__ = "0.1.0"
