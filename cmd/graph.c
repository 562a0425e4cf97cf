/* imgmake graph: which target needs which, as dot, mermaid, JSON or SVG. */
#include "cmd/graph.h"

#include <string.h>

#include "cmd/commands.h"
#include "recipe/graph.h"

enum graph_format { GRAPH_DOT, GRAPH_MERMAID, GRAPH_JSON, GRAPH_SVG };

bool graph_is_stale(const struct graph_node *n)
{
	return n->status == STATUS_STALE;
}

static const char *node_status(const struct graph_node *n)
{
	return n->target->kind == TARGET_BASE ? "base" : status_text(n->status);
}

/* One character each, for dot's strings and XML alike. */
void graph_escape(struct buf *out, const char *s)
{
	AUTO_BUF safe = BUF_INIT;

	buf_add_printable(&safe, s, strlen(s));
	for (const char *p = safe.s; *p; p++) {
		switch (*p) {
		case '&': buf_adds(out, "&amp;"); break;
		case '<': buf_adds(out, "&lt;"); break;
		case '>': buf_adds(out, "&gt;"); break;
		case '"': buf_adds(out, "&quot;"); break;
		case '\\': buf_adds(out, "&#92;"); break;
		default: buf_addc(out, *p);
		}
	}
}

/* --- What is drawn --------------------------------------------------------------------
 */

/* Marks the target and all that it needs. */
static void reach(const struct recipe *r, const struct target *t, bool *reached)
{
	AUTO_FREE struct target **needs = NULL;
	size_t n;

	if (reached[t->index])
		return;
	reached[t->index] = true;
	graph_needs(r, t, &needs, &n);
	for (size_t i = 0; i < n; i++)
		reach(r, needs[i], reached);
}

static void add_edges(struct graph *g, const struct recipe *r, const size_t *place)
{
	for (size_t i = 0; i < g->nodes.len; i++) {
		const struct target *t = g->nodes.at[i].target;
		AUTO_FREE struct target **needs = NULL;
		size_t n;

		graph_needs(r, t, &needs, &n);
		for (size_t k = 0; k < n; k++) {
			struct graph_edge e = { place[needs[k]->index], i,
				                needs[k] == t->from };

			vec_push(&g->edges, e);
		}
	}
}

static void collect(struct graph *g, struct session *s, struct target **targets, size_t n)
{
	const struct recipe *r = s->recipe;
	AUTO_FREE bool *reached = mem_alloc((r->n_targets + 1) * sizeof(*reached));
	AUTO_FREE size_t *place = mem_alloc((r->n_targets + 1) * sizeof(*place));

	for (size_t i = 0; i < n; i++)
		reach(r, targets[i], reached);
	for (size_t i = 0; i < r->n_targets; i++) {
		struct graph_node node = { r->targets[i],
			                   build_status(s->build, r->targets[i]) };

		place[i] = g->nodes.len;
		if (reached[i])
			vec_push(&g->nodes, node);
	}
	add_edges(g, r, place);
}

/* --- Formats --------------------------------------------------------------------------
 */

static void graph_dot(const struct graph *g, struct buf *out)
{
	buf_adds(out, "digraph imgmake {\n\trankdir=LR\n"
	              "\tnode [shape=box, fontname=\"monospace\", fontsize=10]\n");
	for (size_t i = 0; i < g->nodes.len; i++) {
		const struct graph_node *n = &g->nodes.at[i];

		buf_addf(out, "\tn%zu [label=\"", i);
		graph_escape(out, n->target->name);
		buf_addf(out, "\\n%s\", tooltip=\"%s\"%s]\n",
		         target_kind_text(n->target->kind), node_status(n),
		         graph_is_stale(n) ? ", style=filled, fillcolor=\"#ffd9a0\""
		                           : "");
	}
	for (size_t i = 0; i < g->edges.len; i++)
		buf_addf(out, "\tn%zu -> n%zu%s\n", g->edges.at[i].from,
		         g->edges.at[i].to,
		         g->edges.at[i].is_base ? "" : " [style=dashed]");
	buf_adds(out, "}\n");
}

static void graph_mermaid(const struct graph *g, struct buf *out)
{
	buf_adds(out, "flowchart LR\n");
	for (size_t i = 0; i < g->nodes.len; i++) {
		const struct graph_node *n = &g->nodes.at[i];

		buf_addf(out, "    n%zu[\"", i);
		graph_escape(out, n->target->name);
		buf_addf(out, "<br/>%s\"]%s\n", target_kind_text(n->target->kind),
		         graph_is_stale(n) ? ":::stale" : "");
	}
	for (size_t i = 0; i < g->edges.len; i++)
		buf_addf(out, "    n%zu %s n%zu\n", g->edges.at[i].from,
		         g->edges.at[i].is_base ? "-->" : "-.->", g->edges.at[i].to);
	buf_adds(out, "    classDef stale fill:#ffd9a0,stroke:#a05a00\n");
}

static json_t *graph_json(const struct graph *g)
{
	json_t *all = json_array();
	size_t k = 0;

	for (size_t i = 0; i < g->nodes.len; i++) {
		const struct target *t = g->nodes.at[i].target;
		json_t *needs = json_array();

		for (; k < g->edges.len && g->edges.at[k].to == i; k++)
			json_array_append_new(
				needs,
				json_string(
					g->nodes.at[g->edges.at[k].from].target->name));
		json_array_append_new(
			all, json_pack("{s:s,s:s,s:s,s:b,s:o}", "target", t->name, "kind",
		                       target_kind_text(t->kind), "status",
		                       node_status(&g->nodes.at[i]), "stale",
		                       graph_is_stale(&g->nodes.at[i]), "needs", needs));
	}
	return all;
}

static void draw(struct session *s, const struct graph *g, enum graph_format format)
{
	AUTO_BUF out = BUF_INIT;

	switch (format) {
	case GRAPH_JSON: session_print_json(s, graph_json(g)); return;
	case GRAPH_DOT: graph_dot(g, &out); break;
	case GRAPH_MERMAID: graph_mermaid(g, &out); break;
	case GRAPH_SVG: graph_svg(g, &out); break;
	}
	session_print(s, &out);
}

/* --- The command ----------------------------------------------------------------------
 */

/* Without words, all there is: who draws a graph wants to see the checks, too. */
static int drawn_targets(struct session *s, struct target ***out, size_t *n,
                         struct err *e)
{
	const struct recipe *r = s->recipe;

	if (s->options->words.len)
		return session_targets(s, out, n, e);
	*out = mem_alloc((r->n_targets + 1) * sizeof(**out));
	memcpy(*out, r->targets, r->n_targets * sizeof(**out));
	*n = r->n_targets;
	return 0;
}

/* What cannot be judged (a base that cannot be reached, say) is drawn all the same. */
static void judge(struct session *s, struct target **targets, size_t n)
{
	AUTO_FREE struct target **judged = mem_alloc((n + 1) * sizeof(*judged));
	size_t count = 0;
	struct err e;

	for (size_t i = 0; i < n; i++)
		if (targets[i]->kind != TARGET_BASE)
			judged[count++] = targets[i];
	if (session_plan(s, judged, count, &e) < 0)
		progress_warning(terminal_progress(s->terminal),
		                 "what is out of date is not known everywhere: %s",
		                 e.msg);
}

int cmd_graph(const struct options *o, struct terminal *t)
{
	AUTO_FREE struct target **targets = NULL;
	struct graph g = { 0 };
	struct session s;
	struct err e;
	size_t n;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE | SESSION_STORE_READ | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    drawn_targets(&s, &targets, &n, &e) < 0)
		return session_fail(&s, &e);
	judge(&s, targets, n);
	collect(&g, &s, targets, n);
	draw(&s, &g, o->json ? GRAPH_JSON : o->format ? o->format - 1 : GRAPH_DOT);
	vec_fini(&g.nodes);
	vec_fini(&g.edges);
	return session_end(&s, 0);
}
