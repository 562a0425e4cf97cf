#ifndef CMD_GRAPH_H
#define CMD_GRAPH_H

/* The graph of targets, for `imgmake graph`: what is drawn, whatever it is drawn as. */
#include "base/vec.h"
#include "build/build.h"

struct graph_edge {
	size_t from, to; /* indices of nodes: `to` needs `from` */
	bool is_base;    /* `to` stands on it; else it copies from it, checks it, … */
};

struct graph_node {
	const struct target *target;
	enum status status;
};

/* Nodes come in the order of the recipe, edges by `to` and then `from`. */
struct graph {
	VEC(struct graph_node) nodes;
	VEC(struct graph_edge) edges;
};

bool graph_is_stale(const struct graph_node *n);

/* graph_svg.c: layers from left to right, each node right of all that it needs. */
void graph_svg(const struct graph *g, struct buf *out);
/* For SVG and dot, where these mean something else. */
void graph_escape(struct buf *out, const char *s);

#endif
