"""The pages that show a section of the paper on a run, for all code that treats them alike."""

SECTION_OF = {  # the sections are in `mae_lib.studies`
    "3_0_pretraining": "pretraining",
    "3_1_reconstruction": "reconstruction",
    "3_2_attention": "attention",
    "3_3_separability": "separability",
    "3_4_shape_bias": "shape_bias",
    "3_5_transfer": "detection",
}
