"""Loading and running models; onnxruntime and torch are imported here and nowhere else."""
