"""Post-training quantization (W8A8): see `quantize`."""

from tinycast.compress.quantize.options import ActivationType, Calibration, QuantizeOptions
from tinycast.compress.quantize.quantizer import quantize

__all__ = ["ActivationType", "Calibration", "QuantizeOptions", "quantize"]
