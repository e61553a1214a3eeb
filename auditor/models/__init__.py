"""Loading and running models; onnxruntime and torch are imported here and nowhere else."""

import os

# Read by onnxruntime when it is imported: it else opens a store of events under the home folder,
# and sends them.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
