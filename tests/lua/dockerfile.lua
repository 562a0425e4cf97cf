-- Words of Dockerfiles, after the cases of BuildKit's frontend/dockerfile/shell and parser.
local expand = require "dockerfile.expand"
local parse = require "dockerfile.parse"

local function equal(got, expected, what)
  if got ~= expected then
    error(("%s: expected %s, got %s"):format(what, tostring(expected), tostring(got)), 2)
  end
end

-- text, environment, result; nil: an error
local function case(text, env, expected, why)
  local got, message = expand.word(text, env)
  equal(got, expected, text .. (message and " (" .. message .. ")" or ""))
  if why then
    equal(message, why, text)
  end
end

-- envVarTest
local env = { PWD = "/home", SHELL = "bash", KOREAN = "한국어", NULL = "" }
for _, c in ipairs {
  { "hello", "hello" }, { "he'll'o", "hello" }, { "he'llo", nil }, { "he\\'llo", "he'llo" }, { "he\\\\'llo", nil },
  { "abc\\tdef", "abctdef" }, { "\"abc\\tdef\"", "abc\\tdef" }, { "\"abc\\\\tdef\"", "abc\\tdef" },
  { "'abc\\tdef'", "abc\\tdef" }, { "hello\\", "hello" }, { "hello\\\\", "hello\\" }, { "\"hello", nil },
  { "\"hello\\\"", nil }, { "\"hel'lo\"", "hel'lo" }, { "'hello", nil }, { "'hello\\'", "hello\\" },
  { "''", "" }, { "$.", "$." }, { "he$1x", "hex" }, { "he$.x", "he$.x" }, { "he$pwd.", "he." }, { "he$PWD", "he/home" },
  { "he\\$PWD", "he$PWD" }, { "he\\\\$PWD", "he\\/home" }, { "\"he\\$PWD\"", "he$PWD" }, { "\"he\\\\$PWD\"", "he\\/home" },
  { "\\${}", "${}" }, { "\\${}aaa", "${}aaa" }, { "he\\${}", "he${}" }, { "he\\${}xx", "he${}xx" }, { "${}", nil },
  { "${}aaa", nil }, { "he${}", nil }, { "he${hi}", "he" }, { "he${hi}xx", "hexx" }, { "he${PWD}", "he/home" },
  { "he${.}", nil }, { "he${XXX:-000}xx", "he000xx" }, { "he${PWD:-000}xx", "he/homexx" },
  { "he${XXX:-$PWD}xx", "he/homexx" }, { "he${XXX:-${PWD:-yyy}}xx", "he/homexx" },
  { "he${XXX:-${YYY:-yyy}}xx", "heyyyxx" }, { "he${XXX:YYY}", nil }, { "he${XXX?}", nil }, { "he${XXX:?}", nil },
  { "he${PWD:?}", "he/home" }, { "he${NULL?}", "he" }, { "he${NULL:?}", nil }, { "he${XXX:+${PWD}}xx", "hexx" },
  { "he${PWD:+${XXX}}xx", "hexx" }, { "he${PWD:+${SHELL}}xx", "hebashxx" }, { "he${XXX:+000}xx", "hexx" },
  { "he${PWD:+000}xx", "he000xx" }, { "'he${XX}'", "he${XX}" }, { "\"he${PWD}\"", "he/home" },
  { "\"he'$PWD'\"", "he'/home'" }, { "\"$PWD\"", "/home" }, { "'$PWD'", "$PWD" }, { "'\\$PWD'", "\\$PWD" },
  { "'\"hello\"'", "\"hello\"" }, { "he\\$PWD", "he$PWD" }, { "\"he\\$PWD\"", "he$PWD" }, { "'he\\$PWD'", "he\\$PWD" },
  { "${PWD", nil }, { "${PWD:-", nil }, { "안녕하세요", "안녕하세요" }, { "안'녕'하세요", "안녕하세요" },
  { "안${KOREAN}세", "안한국어세" }, { "${{aaa}", nil }, { "${:-x}", nil }, { "$KOREAN", "한국어" },
  { "${NULL-x}", "" }, { "${XXX-x}", "x" }, { "${NULL+x}", "x" }, { "${XXX+x}", "" }, { "${SHELL=x}", nil }, { "$", "$" },
  { "$$x", "x" },
} do
  case(c[1], env, c[2])
end

-- TestProcessWithMatches
local function foo(text, value, expected, more)
  local e = more or {}
  e.FOO = value
  case(text, e, expected)
end
foo("${FOO-aaa} ${BAR-bbb} ${BAZ-ccc}", "xxx", "xxx  ccc", { BAR = "" })
foo("${FOO:-aaa} ${BAR:-bbb} ${BAZ:-ccc}", "xxx", "xxx bbb ccc", { BAR = "" })
foo("${FOO:+aaa} ${BAR:+bbb} ${BAZ:+ccc}", "xxx", "aaa  ", { BAR = "" })
foo("${FOO=aaa}", "xxx", nil)
foo("${FOO#()[]{\\}^$.\\*\\?|\\\\}", "()[]{}^$.*?|\\x", "x")
foo("${FOO%%\\**}", "xx**", "xx")
foo("${FOO#*x*y}", "xxyy", "y")
foo("${FOO#*}", "xxyy", "xxyy")
foo("${FOO#$BAR}", "xxyy", "xyy", { BAR = "x" })
foo("${FOO#$BAR}", "xxyy", "xxyy", { BAR = "" })
foo("${FOO#}", "xxyy", "xxyy")
foo("${FOO##*x}", "xxyy", "yy")
foo("${FOO##}", "xxyy", "xxyy")
foo("${FOO#?\\?}", "???y", "?y")
foo("${ABC:-.}${FOO%x}${ABC:-.}", "xxyy", ".xxyy.")
foo("${FOO%%\\**\\*}", "a***yy*", "a")
foo("${FOO%}", "xxyy", "xxyy")
foo("${FOO%y}", "xxyy", "xxy")
foo("${FOO%%x*}", "axxyy", "a")
foo("${FOO%x*}", "axxyy", "ax")
foo("${FOO%%$BAR}", "xxyy", "xxyy", { BAR = "" })
foo("${FOO/$NEEDLE/.} - ${FOO//$NEEDLE/.}", "/foo*/*/*.txt", "/foo.*/*.txt - /foo..*.txt", { NEEDLE = "\\*/" })
foo("${FOO/$NEEDLE/} - ${FOO//$NEEDLE/}", "/tmp/tmp/bar.txt", "/tmp/bar.txt - /bar.txt", { NEEDLE = "/tmp" })
foo("${FOO/$NEEDLE/$WITH} - ${FOO//$NEEDLE/$WITH}", "/a/foo/b/c.txt", "/foo/b/c.txt - /foo/c.txt",
  { NEEDLE = "/?/", WITH = "/" })
foo("${FOO/$NEEDLE/$WITH}", "http://google.de", "https://google.de", { NEEDLE = "http://", WITH = "https://" })
foo("${FOO//\\//\\/}", "/tmp/foo.txt", "\\/tmp\\/foo.txt")
foo("${FOO/$BAR/ww}", "xxyy", "wwxxyy", { BAR = "" })
foo("${FOO//ww}", "xxyy", nil)
foo("${FOO//}", "xxyy", nil)
foo("${FOO///}", "xxyy", "xxyy")
foo("${FOO///}", nil, "")
foo("${FOO#\\x}", "xx", nil)
case("${VAR:?message here$ARG}", { VAR = "plain", ARG = "x" }, "plain")
case("${VAR:?message here$ARG}", { VAR = "", ARG = "x" }, nil, "VAR: message herex")
case("${VAR?message here$ARG}", { VAR = "", ARG = "x" }, "")
case("${VAR?message here$ARG}", { ARG = "x" }, nil, "VAR: message herex")
case("something-${VERSION}.${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-${TARGETVARIANT}}.tar.gz",
  { VERSION = "v1.2.3", TARGETOS = "linux", TARGETARCH = "arm", TARGETVARIANT = "v7" },
  "something-v1.2.3.linux-arm-v7.tar.gz")
equal((expand.word("a`$b", { b = "x" }, { escape = "`" })), "a$b", "another escape")

-- wordsTest
local function words(text, e, expected)
  local got = expand.words(text, e or {})
  equal(got and table.concat(got, ",") or "error", expected, text)
end
words("hello world", nil, "hello,world")
words("hel'lo world'", nil, "hello world")
words("  a  \"b c\" ", nil, "a,b c")
words("$v", { v = "one two" }, "one,two")
words("'$v' \"$v\"", { v = "one two" }, "$v,one two")
words("a\\ b", nil, "a b")
words("'a", nil, "error")

-- TestParseWords
for text, expected in pairs {
  ["foo"] = "foo", ["foo bar"] = "foo|bar", ["foo\\ bar"] = "foo\\ bar", ["foo=bar"] = "foo=bar",
  ["foo bar 'abc xyz'"] = "foo|bar|'abc xyz'", ['foo bar "abc xyz"'] = 'foo|bar|"abc xyz"',
  ['foo="bar baz" x'] = 'foo="bar baz"|x', ["àöû"] = "àöû", ['föo bàr "âbc xÿz"'] = 'föo|bàr|"âbc xÿz"',
  ["a='b' c"] = "a='b'|c", ['x=""'] = 'x=""',
} do
  equal(table.concat(parse.words(text, "\\"), "|"), expected, text)
end

-- Lines.
local function lines(text)
  local out = {}
  for i, instruction in ipairs((parse.text(text, "D"))) do
    local flags = #instruction.flags > 0 and " {" .. table.concat(instruction.flags, ",") .. "}" or ""
    out[i] = ("%d %s%s %s%s"):format(instruction.line, instruction.name, flags, instruction.rest,
      instruction.json and " json" or "")
  end
  return table.concat(out, "\n")
end
equal(lines "\239\187\191FROM a\n\n# x\nRUN a \\\n  # in between\n\n  b \\  \n c\n", "1 FROM a\n4 RUN a   b  c", "continued")
equal(lines "# escape=`\nFROM a\nRUN a `\n b\\\n", "2 FROM a\n3 RUN a  b\\", "escape directive")
equal(lines "# syntax=x\n# escape=\\\nfrom a\r\n", "3 FROM a", "directives, carriage return")
equal(lines "#\n# escape=`\nFROM a\nRUN a \\\n b", "3 FROM a\n4 RUN a  b", "a directive behind a comment is none")
equal(lines "FROM a\nRUN echo \\\\\nRUN b", "1 FROM a\n2 RUN echo \\\\\n3 RUN b", "an escaped escape")
equal(lines "FROM a\nCMD [\"a\", \"b\"]\nCMD [ 'a' ]\nCMD []", "1 FROM a\n2 CMD [\"a\", \"b\"] json\n3 CMD [ 'a' ]\n4 CMD [] json",
  "JSON")
equal(lines "FROM a\nCOPY --from=x --chown=\"a b\" -- --y z", "1 FROM a\n2 COPY {--from=x,--chown=a b} --y z", "flags")
equal(lines "FROM a\nHEALTHCHECK --interval=1s CMD [\"x\"]", "1 FROM a\n2 HEALTHCHECK {--interval=1s} CMD [\"x\"] json",
  "health check")

-- Heredocs.
local function docs(text)
  local out = {}
  for _, instruction in ipairs((parse.text("FROM a\n" .. text, "D"))) do
    for _, doc in ipairs(instruction.heredocs) do
      out[#out + 1] = ("%s%s%s[%s]"):format(doc.name, doc.chomp and "-" or "", doc.expand and "" or "!", doc.text)
    end
  end
  return table.concat(out, " ")
end
equal(docs "RUN <<EMPTY\nEMPTY\n", "EMPTY[]", "empty")
equal(docs "RUN <<E\n\tfoo\n\tbar\nE\n", "E[\tfoo\n\tbar\n]", "tabs stay")
equal(docs "RUN <<-E\n\tfoo\n\tE\n", "E-[\tfoo\n]", "the end may be indented")
equal(docs "RUN <<A <<B\na\nA\nb\nB\n", "A[a\n] B[b\n]", "two")
equal(docs "RUN <<'E'\n$x\nE\nRUN <<\"F\"\nF\nRUN <<G\\ H\nG H", "E![$x\n] F![] G H[]", "quoted names")
equal(docs "RUN \"<<NO\"\nRUN <<-\"E F\"\nE F\n", "E F-![]", "quoted altogether")
equal(docs "RUN [\"<<NO\"]\nUSER <<NO\n", "", "not where there are none")
equal(docs "ONBUILD RUN <<E\nx\nE\n", "E[x\n]", "triggers")
equal(docs "COPY <<a <<-b /x/\n\\\n# no comment\na\n\tb\n", "a[\\\n# no comment\n] b-[]", "lines are as they are")
equal(parse.chomped "\ta\n\t\tb\nc\t\n", "a\nb\nc\t\n", "chomped")
