"""Train, gate, export, check, card and register tiny ONNX models for VMAF forks."""

__version__ = "0.1.0"
