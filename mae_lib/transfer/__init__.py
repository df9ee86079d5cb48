"""Section 3.5: pretrained encoders fine-tuned to detect and segment objects, in drawn scenes and in COCO."""
