/* Recipes of strangers: every one of these must end, soon, in one line. */
#include "recipes.h"

#include "base/vec.h"

#define TOO_LONG "stopped: the recipe runs too long (an endless loop?)"
#define TOO_DEEP "stopped: functions call each other too deep (an endless recursion?)"
#define TOO_LARGE "stopped: a string or list is too large"
#define TOO_MUCH "stopped: the recipe needs too much memory"

struct hostile {
	const char *recipe, *expected;
};

static const struct hostile loops[] = {
	{ "local t = { a = {} } for i = 1, 40 do t = { a = t, b = t } end "
	  "json.encode(t)",
	  "Imagefile:1: " TOO_LONG },
	{ "while true do end", "Imagefile:1: " TOO_LONG },
	{ "\nwhile true do pcall(function() while true do end end) end",
	  "Imagefile:2: " TOO_LONG },
	{ "local x <close> = setmetatable({}, { __close = function() while true do "
	  "end end })\n"
	  "while true do end",
	  "Imagefile:1: " TOO_LONG },
	{ "for i in ipairs(setmetatable({}, { __index = function() return 1 end })) "
	  "do end",
	  "Imagefile:1: " TOO_LONG },
	{ "for k in pairs(setmetatable({}, { __pairs = function() return function() "
	  "return 1 end"
	  " end })) do end",
	  "Imagefile:1: " TOO_LONG },
	{ "table.move({}, 1, math.maxinteger - 1, 2)", "Imagefile:1: " TOO_LONG },
	{ "table.concat(setmetatable({}, { __index = type }), '', 1, 1 << 40)",
	  "Imagefile:1: " TOO_LONG },
	{ "print(pcall(table.concat, setmetatable({}, { __index = type }), '', 1, 1 "
	  "<< 40))",
	  "Imagefile:1: " TOO_LONG },
	{ "('a'):rep(100000):find(('.-'):rep(12) .. 'b')", "Imagefile:1: " TOO_LONG },
	{ "('a'):rep(100000):gsub(('a*'):rep(9) .. 'b', '')", "Imagefile:1: " TOO_LONG },
	{ "for _ in ('('):rep(200000):gmatch('%b()') do end", "Imagefile:1: " TOO_LONG },
	{ "('a'):rep(50000):match('(' .. ('a-'):rep(8) .. ')%1b')",
	  "Imagefile:1: " TOO_LONG },
	{ "local t = {} for i = 1, 1e5 do t[i] = i end while true do next(t, 5) end",
	  "Imagefile:1: " TOO_LONG },
	{ "local t = {} for i = 1, 1e5 do t[i] = i end\ntable.sort(t, function() "
	  "while true do end "
	  "end)",
	  "Imagefile:2: " TOO_LONG },
	{ "local function f(n) for i = 1, 1e9 do f(n + 1) end end f(0)",
	  "Imagefile:1: " TOO_DEEP },
	{ "image(setmetatable({}, { __index = function() while true do end end }))",
	  "Imagefile:1: image: 'the name' must be letters, digits, '_', '.', '+' "
	  "and '-', "
	  "beginning with a letter or digit, not a table" },
};

static const struct hostile recursions[] = {
	{ "local function f() return 1 + f() end f()", "Imagefile:1: " TOO_DEEP },
	{ "local function f() return 1 + f() end\nprint(pcall(f))",
	  "Imagefile:1: " TOO_DEEP },
	{ "local function f() return pcall(f) end f()", "Imagefile:1: " TOO_DEEP },
	{ "local t = setmetatable({}, {}) local mt = { __index = function(t, k) "
	  "return t[k] end }\n"
	  "setmetatable(t, mt) local x = t.y",
	  "Imagefile:1: " TOO_DEEP },
	{ "local t = setmetatable({}, { __tostring = function(t) return tostring(t) "
	  "end })\n"
	  "tostring(t)",
	  "Imagefile:1: " TOO_DEEP },
	{ "('x'):gsub('x', function() local function f() return ('x'):gsub('x', f) "
	  "end f() end)",
	  "Imagefile:1: " TOO_DEEP },
	{ "local t = {} t[1] = t\nimage 'x' { from = 'scratch', t }",
	  "Imagefile:2: image 'x': lists are nested too deep (does one hold "
	  "itself?)" },
};

static const struct hostile sizes[] = {
	{ "local s = ('x'):rep(1 << 31)",
	  "Imagefile:1: string.rep: the result would be larger than 32 MiB" },
	{ "local s = 'x'\nwhile true do s = s .. s end", "Imagefile:2: " TOO_LARGE },
	{ "local s = 'x' while true do local ok\n ok, s = pcall(function() return s "
	  ".. s end) end",
	  "Imagefile:2: " TOO_LARGE },
	{ "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1 << 20) "
	  "end\ntable.concat(t)",
	  "Imagefile:2: " TOO_LARGE },
	{ "string.pack('c1000000000', 'x')", "Imagefile:1: " TOO_LARGE },
	{ "('x'):rep(1 << 20):gsub('x', ('y'):rep(100))", "Imagefile:1: " TOO_LARGE },
	{ "('%99d'):rep(99):format(table.unpack({}, 1, 99))",
	  "Imagefile:1: bad argument #2 to 'string.format' (number expected, got "
	  "nil)" },
	{ "local t = {}\nwhile true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end",
	  "Imagefile:2: " TOO_MUCH },
	{ "local t = {}\nwhile true do pcall(function() t[#t + 1] = ('x'):rep(1 << "
	  "20) .. #t end) "
	  "end",
	  "Imagefile:2: " TOO_MUCH },
	{ "local t = {} while true do t = { t, {}, {}, {} } end",
	  "Imagefile:1: " TOO_MUCH },
	{ "local s = ('x'):rep(1 << 20) while true do print(s) end",
	  "Imagefile:1: " TOO_MUCH },
	{ "local w = write { '/x', ('x'):rep(1 << 20) }\n"
	  "for i = 1, 1000 do image('i' .. i) { from = 'scratch', w } end",
	  "Imagefile:2: " TOO_MUCH },
	{ "utf8.char(table.unpack({}, 1, 1e7))",
	  "Imagefile:1: too many results to unpack" },
};

static const struct hostile escapes[] = {
	{ "getmetatable('').__index = 1",
	  "Imagefile:1: unknown name 'getmetatable', did you mean 'setmetatable'?" },
	{ "local s = '' s.x.y = 1",
	  "Imagefile:1: attempt to index a nil value (field 'x')" },
	{ "setmetatable({}, { __gc = function() while true do end end })",
	  "Imagefile:1: setmetatable: '__gc' is not available in recipes" },
	{ "load('x')()", "Imagefile:1: unknown name 'load'" },
	{ "\x1bLua", "Imagefile:1: attempt to load a binary chunk (mode is 't')" },
	{ "error(setmetatable({}, { __tostring = function() error('again') end }))",
	  "Imagefile:1: again" },
	{ "error('\\27[2J\\n')", "Imagefile:1: \\x1b[2J\\x0a" },
	{ "error()", "Imagefile:1: error value: nil" },
};

static void each_is_refused(const struct hostile *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refused(at[i].recipe, at[i].expected);
}

static void loops_end(void **state)
{
	struct eval_options o = in_project();

	(void)state;
	o.limits.work = 20000000;
	for (size_t i = 0; i < ARRAY_LEN(loops); i++) {
		put("Imagefile", loops[i].recipe);
		refused_with(&o, loops[i].expected);
	}
}

static void recursions_end(void **state)
{
	(void)state;
	each_is_refused(recursions, ARRAY_LEN(recursions));
}

static void sizes_are_bounded(void **state)
{
	(void)state;
	each_is_refused(sizes, ARRAY_LEN(sizes));
}

static void nothing_leads_out(void **state)
{
	(void)state;
	each_is_refused(escapes, ARRAY_LEN(escapes));
}

/* Comparing long strings is one instruction, and slow. */
static void processor_time_is_bounded_where_few_instructions_run(void **state)
{
	struct eval_options o = in_project();

	(void)state;
	o.limits.cpu_ms = 300;
	put("Imagefile",
	    "local a, b = ('x'):rep(20 << 20) .. 'a', ('x'):rep(20 << 20) .. 'b'\n"
	    "while a ~= b do end");
	refused_with(&o,
	             "Imagefile:2: stopped: the recipe needs too much processor time");
}

static void deeply_nested_source_is_a_syntax_error(void **state)
{
	AUTO_BUF text = BUF_INIT;

	(void)state;
	buf_adds(&text, "local x = ");
	for (int i = 0; i < 1000; i++)
		buf_addc(&text, '(');
	refused(text.s, "Imagefile:1: blocks or parentheses are nested too deep");
}

static void a_large_file_is_not_read(void **state)
{
	struct eval_options o = in_project();
	int fd = openat(project_fd, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	struct recipe *r;
	struct err e;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)1 << 31), 0);
	close(fd);
	put("Imagefile", "read 'big'");
	assert_int_equal(eval_recipe(&r, &o, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(strncmp(e.msg, "Imagefile:1: big", 16), 0);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_project, remove_project)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(loops_end),
		EACH(recursions_end),
		EACH(sizes_are_bounded),
		EACH(nothing_leads_out),
		EACH(processor_time_is_bounded_where_few_instructions_run),
		EACH(deeply_nested_source_is_a_syntax_error),
		EACH(a_large_file_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
