"""Image files of any data set, or of a folder of your own: reading, packing, cropping and loading.

The paper's data sets are in `mae_lib.imagenet.sets`."""
