"""Timing a model on the machine that this runs on: a program in modules that become one file.

Its modules need Python, numpy and onnxruntime (or torch, for TorchScript) and nothing else of the
auditor, and import only each other. `auditor.models.bench_program` puts them one after the other
into the program that runs here and on any other machine.
"""
