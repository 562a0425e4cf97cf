#include "cmd/options.h"

#include <string.h>

enum {
	COLUMNS = 80,
	HELP_COLUMN = 30, /* where the text of an option starts */
};

void options_wrap(struct buf *out, const char *s, size_t column)
{
	size_t at = column;

	while (*s) {
		size_t n = strcspn(s, " \n");

		if (at > column && at + 1 + n > COLUMNS) {
			buf_addf(out, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			buf_addc(out, ' ');
			at++;
		}
		buf_add(out, s, n);
		at += n;
		s += n;
		if (*s == '\n') {
			buf_addf(out, "\n%*s", s[1] == '\n' ? 0 : (int)column, "");
			at = column;
		}
		s += *s != '\0';
	}
	buf_addc(out, '\n');
}

static void add_choices(struct buf *text, const struct opt *opt)
{
	if (!opt->choices)
		return;
	buf_addf(text, " (%s: ", opt->value);
	for (size_t i = 0; opt->choices[i]; i++)
		buf_addf(text, "%s%s", i ? ", " : "", opt->choices[i]);
	buf_addc(text, ')');
}

static void add_option(struct buf *out, const struct opt *opt)
{
	AUTO_BUF text = BUF_INIT;
	size_t start = out->len, width;

	if (opt->letter)
		buf_addf(out, "  -%c", opt->letter);
	else
		buf_adds(out, "    ");
	if (*opt->name)
		buf_addf(out, "%s --%s", opt->letter ? "," : " ", opt->name);
	if (opt->kind == OPT_MODE)
		buf_addf(out, "[=%s]", opt->value);
	else if (opt->value)
		buf_addf(out, " %s", opt->value);
	width = out->len - start;
	if (width + 2 > HELP_COLUMN)
		buf_addf(out, "\n%*s", HELP_COLUMN, "");
	else
		buf_addf(out, "%*s", HELP_COLUMN - (int)width, "");
	buf_adds(&text, opt->help);
	add_choices(&text, opt);
	options_wrap(out, text.s, HELP_COLUMN);
}

static void add_lines(struct buf *out, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");

		buf_addf(out, "  %.*s\n", (int)n, lines);
		lines += n + (lines[n] != '\0');
	}
}

static void add_usage(struct buf *out, const struct command *c)
{
	buf_addf(out, "Usage: imgmake %s [OPTION...]%s%s%s\n", c->name,
	         *c->args ? " " : "", c->args,
	         c->takes & TAKES_PROJECT ? " [NAME=VALUE...]" : "");
}

void options_help(struct buf *out, const struct command *c)
{
	add_usage(out, c);
	buf_addc(out, '\n');
	options_wrap(out, c->help, 0);
	if (c->text) {
		buf_addc(out, '\n');
		options_wrap(out, c->text, 0);
	}
	buf_adds(out, "\nOptions:\n");
	for (const struct opt *opt = c->options; opt && opt->name; opt++)
		add_option(out, opt);
	for (const struct opt *opt = options_common(); opt->name; opt++)
		if (options_apply(opt, c))
			add_option(out, opt);
	if (c->example) {
		buf_adds(out, "\nExample:\n");
		add_lines(out, c->example);
	}
}

void options_overview(struct buf *out, const struct command *commands)
{
	buf_adds(out,
	         "Usage: imgmake [OPTION...] [COMMAND] [TARGET...] [NAME=VALUE...]\n\n"
	         "imgmake builds container images from an Imagefile, as make builds files"
	         "\nfrom a Makefile, and only what is out of date.\n\nCommands:\n");
	for (const struct command *c = commands; c->name; c++) {
		buf_addf(out, "  %-12s", c->name);
		options_wrap(out, c->help, 14);
	}
	buf_addf(
		out,
		"\nWithout a command, it is %s. For its options: imgmake COMMAND --help\n",
		commands->name);
}

void options_help_all(struct buf *out, const struct command *commands)
{
	options_overview(out, commands);
	for (const struct command *c = commands; c->name; c++) {
		buf_addc(out, '\n');
		options_help(out, c);
	}
}
