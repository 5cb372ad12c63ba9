/* folder.h — a folder of JPEG and PNG pictures, a sub-folder for each class; list.h says how it
 * may be laid out.
 *
 * Decoding a photograph costs more than a small network's step, and an epoch meets it
 * again: so all are decoded once, by all cores, shrunk so that the shorter side is 8/7 of the
 * network's image (256 for 224) and kept as bytes in one file that is mapped, not read. Pages
 * that were used are the system's to forget, so there may be more pictures than memory; an epoch
 * later a page costs one read of the disk. Smaller pictures stay as they are; of pictures longer
 * than 3:1 the middle is kept.
 *
 * The file lies in `cache`, or $XDG_CACHE_HOME/bench, or ~/.cache/bench, under a name made
 * from all names, sizes and dates in the folder, the size wanted and the number of channels.
 * Any change makes another file; old ones may be deleted at any time. */
#ifndef FOLDER_H
#define FOLDER_H

#include "datasets/known.h"

extern const struct data_format format_folder;

#endif
