/* assets.c — see assets.h. An installed program needs no folder to find them in, and each
 * report gets a copy of the scripts that made it. */
#include "report/assets.h"

#include <stddef.h>

#include "base/embed.h"

EMBED(page_css, "reports/page.css");
EMBED(style_gp, "reports/style.gp");
EMBED(loss_gp, "reports/loss.gp");
EMBED(accuracy_gp, "reports/accuracy.gp");
EMBED(time_gp, "reports/time.gp");
EMBED(cost_gp, "reports/cost.gp");
EMBED(steps_gp, "reports/steps.gp");
EMBED(layers_gp, "reports/layers.gp");
EMBED(roofline_gp, "reports/roofline.gp");

const struct asset report_scripts[] = {
    {"style.gp", style_gp},   {"loss.gp", loss_gp},         {"accuracy.gp", accuracy_gp},
    {"time.gp", time_gp},     {"cost.gp", cost_gp},         {"steps.gp", steps_gp},
    {"layers.gp", layers_gp}, {"roofline.gp", roofline_gp}, {NULL, NULL},
};
