/* fashion-mnist.c — what is known of Fashion-MNIST: Xiao, Rasul & Vollgraf,
 * Fashion-MNIST: a novel image dataset for benchmarking machine learning
 * algorithms, arXiv 1708.07747 (2017). The manifest in words: README.md. */
#include "datasets/known.h"

static const char *const class_names[] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                          "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                          "Bag",         "Ankle boot"};

const struct known_set idx_fashion_mnist = {
    .format = &format_idx,
    .name = "fashion-mnist",
    .title = "Fashion-MNIST",
    .about = "60,000 + 10,000 photographs of clothes, 28 x 28 grey, 10 classes",
    .height = 28,
    .width = 28,
    .channels = 1,
    .classes = 10,
    .package = "dataset-fashion-mnist",
    .folder = "/usr/share/datasets/fashion-mnist",
    .licence = "MIT",
    .files = "the four files",
    .url = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"},
    .class_names = class_names,
    .sha256 = "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
    .file_sha256 = {"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
};
