/* mnist.c — what is known of MNIST: LeCun, Bottou, Bengio & Haffner, Gradient-based
 * learning applied to document recognition, Proc. IEEE 86(11), 1998. The manifest
 * in words: README.md. */
#include "datasets/known.h"

static const char *const class_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

const struct known_set idx_mnist = {
    .format = &format_idx,
    .name = "mnist",
    .title = "MNIST",
    .about = "60,000 + 10,000 handwritten digits, 28 x 28 grey, 10 classes",
    .height = 28,
    .width = 28,
    .channels = 1,
    .classes = 10,
    .licence = "CC BY-SA 3.0",
    .files = "the four files",
    .url = {"https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist"},
    .class_names = class_names,
    .sha256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
    .file_sha256 = {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
};
