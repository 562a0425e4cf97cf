/* A layered drawing (Sugiyama, Tagawa, Toda 1981, in its plainest form): columns by
 * distance from what needs nothing; edges over several columns get a place in each, so
 * that they pass between boxes; the order in a column follows the neighbours' mean. */
#include <stdlib.h>
#include <string.h>

#include "cmd/graph.h"

enum {
	CHAR = 8, /* width of a character, in pixels */
	SMALL_CHAR = 7,
	PAD = 10,
	BOX = 36,     /* height */
	SLOT = 50,    /* from box to box */
	BEND = 14,    /* height that a passing edge takes */
	BETWEEN = 60, /* columns */
	SWEEPS = 6,
};

/* A box, or a bend of an edge. */
struct spot {
	size_t node; /* of a box */
	bool bend;
	size_t column;
	size_t before; /* of a bend: the spot that the edge comes from */
	double wish;   /* mean place of the neighbours */
	long x, y;
};

struct drawing {
	const struct graph *g;
	VEC(struct spot) spots; /* the boxes, by node, and then the bends */
	size_t *last;           /* by edge: the last spot before its end */
	size_t n_columns;
	VEC(size_t) * columns; /* of spots, from top to bottom */
	long *width, *x;       /* of columns */
	long total, height;
};

/* False: nothing had to be moved. */
static bool move_right(struct drawing *d, const struct graph_edge *e)
{
	struct spot *from = &d->spots.at[e->from], *to = &d->spots.at[e->to];

	if (to->column > from->column)
		return false;
	to->column = from->column + 1;
	return true;
}

/* Edges are sorted by `to`, and nodes in no order: repeated until nothing moves, which
 * ends since there is no cycle. */
static void place_in_columns(struct drawing *d)
{
	const struct graph *g = d->g;
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < g->edges.len; i++)
			moved |= move_right(d, &g->edges.at[i]);
	}
	for (size_t i = 0; i < d->spots.len; i++)
		if (d->spots.at[i].column + 1 > d->n_columns)
			d->n_columns = d->spots.at[i].column + 1;
}

static void add_bends(struct drawing *d)
{
	for (size_t i = 0; i < d->g->edges.len; i++) {
		const struct graph_edge *e = &d->g->edges.at[i];
		size_t at = e->from;

		for (size_t c = d->spots.at[e->from].column + 1;
		     c < d->spots.at[e->to].column; c++) {
			struct spot bend = { .bend = true, .column = c, .before = at };

			at = d->spots.len;
			vec_push(&d->spots, bend);
		}
		d->last[i] = at;
	}
}

/* What stands below the name. */
static void caption_of(const struct graph_node *n, struct buf *out)
{
	buf_addf(out, "%s%s", target_kind_text(n->target->kind),
	         graph_is_stale(n) ? ", out of date" : "");
}

static long box_width(const struct graph_node *n)
{
	AUTO_BUF kind = BUF_INIT;
	long name = (long)strlen(n->target->name) * CHAR, below;

	caption_of(n, &kind);
	below = (long)kind.len * SMALL_CHAR;
	return 2 * PAD + (name > below ? name : below);
}

static void fill_columns(struct drawing *d)
{
	d->columns = mem_alloc((d->n_columns + 1) * sizeof(*d->columns));
	d->width = mem_alloc((d->n_columns + 1) * sizeof(*d->width));
	d->x = mem_alloc((d->n_columns + 1) * sizeof(*d->x));
	for (size_t i = 0; i < d->spots.len; i++) {
		const struct spot *s = &d->spots.at[i];
		long width = s->bend ? 0 : box_width(&d->g->nodes.at[s->node]);

		vec_push(&d->columns[s->column], i);
		if (width > d->width[s->column])
			d->width[s->column] = width;
	}
}

static void stack(struct drawing *d, size_t column)
{
	long y = PAD;

	for (size_t i = 0; i < d->columns[column].len; i++) {
		struct spot *s = &d->spots.at[d->columns[column].at[i]];

		s->y = y + (s->bend ? BEND : BOX) / 2;
		y += s->bend ? BEND : SLOT;
	}
	if (y > d->height)
		d->height = y;
}

static int by_wish(const void *a, const void *b, void *spots)
{
	const struct spot *x = (struct spot *)spots + *(const size_t *)a,
			  *y = (struct spot *)spots + *(const size_t *)b;

	if (x->wish != y->wish)
		return x->wish < y->wish ? -1 : 1;
	return x->y < y->y ? -1 : x->y > y->y;
}

/* Where the neighbours to the left are; without any, where it is. */
static void wish(struct drawing *d)
{
	AUTO_FREE size_t *n = mem_alloc((d->spots.len + 1) * sizeof(*n));

	for (size_t i = 0; i < d->spots.len; i++)
		d->spots.at[i].wish = 0;
	for (size_t i = 0; i < d->spots.len; i++) {
		if (!d->spots.at[i].bend)
			continue;
		d->spots.at[i].wish = (double)d->spots.at[d->spots.at[i].before].y;
		n[i] = 1;
	}
	for (size_t i = 0; i < d->g->edges.len; i++) {
		size_t to = d->g->edges.at[i].to;

		d->spots.at[to].wish += (double)d->spots.at[d->last[i]].y;
		n[to]++;
	}
	for (size_t i = 0; i < d->spots.len; i++)
		d->spots.at[i].wish = n[i] ? d->spots.at[i].wish / (double)n[i]
		                           : (double)d->spots.at[i].y;
}

static void arrange(struct drawing *d)
{
	for (size_t c = 0; c < d->n_columns; c++)
		stack(d, c);
	for (int sweep = 0; sweep < SWEEPS; sweep++) {
		wish(d);
		for (size_t c = 1; c < d->n_columns; c++) {
			qsort_r(d->columns[c].at, d->columns[c].len, sizeof(size_t),
			        by_wish, d->spots.at);
			stack(d, c);
		}
	}
	d->total = PAD;
	for (size_t c = 0; c < d->n_columns; c++) {
		d->x[c] = d->total;
		d->total += d->width[c] + BETWEEN;
		for (size_t i = 0; i < d->columns[c].len; i++)
			d->spots.at[d->columns[c].at[i]].x = d->x[c];
	}
	d->total += PAD - BETWEEN;
}

/* --- Writing --------------------------------------------------------------------------
 */

/* From the right side of one spot to the left side of the next, and through that. */
static void draw_piece(const struct drawing *d, const struct spot *a,
                       const struct spot *b, struct buf *out)
{
	long ax = a->x + d->width[a->column], bx = b->x, mid = (ax + bx) / 2;

	buf_addf(out, " M%ld %ld C%ld %ld %ld %ld %ld %ld", ax, a->y, mid, a->y, mid,
	         b->y, bx, b->y);
	if (b->bend)
		buf_addf(out, " H%ld", bx + d->width[b->column]);
}

static void draw_edge(const struct drawing *d, size_t i, struct buf *out)
{
	const struct graph_edge *e = &d->g->edges.at[i];
	const struct spot *to = &d->spots.at[e->to];

	buf_addf(out, "<path class=\"%s\" d=\"", e->is_base ? "from" : "needs");
	for (size_t at = d->last[i];; at = to->before) {
		draw_piece(d, &d->spots.at[at], to, out);
		to = &d->spots.at[at];
		if (!to->bend)
			break;
	}
	buf_adds(out, "\"/>\n");
}

static void draw_box(const struct drawing *d, const struct spot *s, struct buf *out)
{
	const struct graph_node *n = &d->g->nodes.at[s->node];
	AUTO_BUF caption = BUF_INIT;

	caption_of(n, &caption);
	buf_addf(out,
	         "<g><rect class=\"%s%s\" x=\"%ld\" y=\"%ld\" width=\"%ld\" "
	         "height=\"%d\" rx=\"4\"/>",
	         target_kind_text(n->target->kind), graph_is_stale(n) ? " stale" : "",
	         s->x, s->y - BOX / 2, d->width[s->column], BOX);
	buf_addf(out, "<text x=\"%ld\" y=\"%ld\">", s->x + PAD, s->y - 3);
	graph_escape(out, n->target->name);
	buf_addf(out, "</text><text class=\"kind\" x=\"%ld\" y=\"%ld\">%s</text></g>\n",
	         s->x + PAD, s->y + 12, caption.s);
}

static void draw_all(const struct drawing *d, struct buf *out)
{
	for (size_t i = 0; i < d->g->edges.len; i++)
		draw_edge(d, i, out);
	for (size_t i = 0; i < d->g->nodes.len; i++)
		draw_box(d, &d->spots.at[i], out);
}

static void write_svg(const struct drawing *d, struct buf *out)
{
	buf_addf(out,
	         "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%ld\" height=\"%ld\" "
	         "viewBox=\"0 0 %ld %ld\">\n",
	         d->total, d->height, d->total, d->height);
	buf_adds(
		out,
		"<style>text{font:12px monospace;fill:#222}.kind{font-size:10px;fill:#777}"
		"rect{fill:#fff;stroke:#555}rect.base{fill:#eee}"
		"rect.stale{fill:#ffd9a0;stroke:#a05a00}"
		"path{fill:none;stroke:#999}path.needs{stroke-dasharray:4 3}</style>\n");
	if (d->spots.at)
		draw_all(d, out);
	buf_adds(out, "</svg>\n");
}

static void lay_out(struct drawing *d)
{
	place_in_columns(d);
	add_bends(d);
	fill_columns(d);
	arrange(d);
}

void graph_svg(const struct graph *g, struct buf *out)
{
	struct drawing d = { .g = g };

	d.last = mem_alloc((g->edges.len + 1) * sizeof(*d.last));
	for (size_t i = 0; i < g->nodes.len; i++) {
		struct spot box = { .node = i };

		vec_push(&d.spots, box);
	}
	if (d.spots.at)
		lay_out(&d);
	write_svg(&d, out);
	for (size_t c = 0; c < d.n_columns; c++)
		vec_fini(&d.columns[c]);
	vec_fini(&d.spots);
	free(d.columns);
	free(d.width);
	free(d.x);
	free(d.last);
}
