"""Images and what is known about them: manifests, decoding, views, soundness."""
