--- The text of a Dockerfile as a list of instructions, as BuildKit's frontend/dockerfile/parser does.
local engine = require "imgmake.engine"
local expand = require "dockerfile.expand"
local parse = {}

---@class imgmake.dockerfile.Heredoc
---@field name string
---@field chomp boolean    <<-
---@field expand boolean   its name is not quoted
---@field text string

---@class imgmake.dockerfile.Instruction
---@field name string      "RUN"
---@field line integer     where it begins
---@field flags string[]   "--from=x"
---@field rest string      behind the flags
---@field json? string[]   `rest` as an argument vector
---@field heredocs imgmake.dockerfile.Heredoc[]
---@field source string    as written, on one line
---@field comments string[] in front of it and in it, without '#'; "" for empty lines
---@field breaks integer[]  where the lines that `source` is made of end

local known = {
  ADD = true, ARG = true, CMD = true, COPY = true, ENTRYPOINT = true, ENV = true, EXPOSE = true, FROM = true,
  HEALTHCHECK = true, LABEL = true, MAINTAINER = true, ONBUILD = true, RUN = true, SHELL = true,
  STOPSIGNAL = true, USER = true, VOLUME = true, WORKDIR = true,
}
local takes_json = {
  ADD = true, CMD = true, COPY = true, ENTRYPOINT = true, RUN = true, SHELL = true, VOLUME = true,
  HEALTHCHECK = true,
}
local takes_heredoc = { ADD = true, COPY = true, RUN = true }
local directives = { escape = true, syntax = true, check = true }

parse.instructions = known

local function trim(s)
  return s:match("^%s*(.-)%s*$")
end

local function raise(file, line, message, ...)
  engine.raise(message:format(...), file, line)
end

--- `# escape=…` and the like, in front of everything else. → escape character, how many lines they are
local function read_directives(lines, file)
  local escape, seen, count = "\\", {}, 0
  for number, text in ipairs(lines) do
    local name, value = text:match("^%s*#%s*(%a[%w]*)%s*=%s*(.-)%s*$")
    name = name and name:lower()
    if not name or not directives[name] or value == "" then
      break
    elseif seen[name] then
      raise(file, number, "only one %s parser directive can be used", name)
    end
    seen[name], count = true, number
    if name == "escape" then
      if value ~= "\\" and value ~= "`" then
        raise(file, number, "invalid escape token '%s': it is ` or \\", value)
      end
      escape = value
    end
  end
  return escape, count
end

--- Words that begin with "--", in front of the rest. → flags, rest
local function read_flags(text)
  local flags, at = {}, 1
  while true do
    at = text:find("%S", at)
    if not at or text:sub(at, at + 1) ~= "--" then
      return flags, at and text:sub(at) or ""
    end
    local word, quote, blank_ok = {}, nil, false
    while at <= #text do
      local c = text:sub(at, at)
      if not quote and c:find("%s") then
        break
      elseif c == quote then
        quote = nil
      elseif not quote and (c == "'" or c == '"') then
        quote, blank_ok = c, true
      else
        if c == "\\" then
          at = at + 1
          c = text:sub(at, at)
        end
        word[#word + 1] = c
      end
      at = at + 1
    end
    word = table.concat(word)
    if word == "--" then
      return flags, text:sub(at)
    elseif word ~= "" or blank_ok then
      flags[#flags + 1] = word
    end
  end
end

--- An array of strings; nil if it is none. false: an array of something else.
local function read_json(text)
  if text:sub(1, 1) ~= "[" then
    return nil
  end
  local ok, value = pcall(engine.json_decode, text)
  if not ok or type(value) ~= "table" then
    return nil
  end
  local out = {}
  for i = 1, #value do
    if type(value[i]) ~= "string" then
      return false
    end
    out[i] = value[i]
  end
  return out
end

--- "<<-'EOF'" → what it says; nil if it is none.
---@return imgmake.dockerfile.Heredoc?
function parse.heredoc(word)
  local dash, rest = word:match("^%d*<<(%-?)([^<]*)$")
  if not rest or rest == "" then
    return nil
  end
  local plain, quoted = expand.words(rest, {}, { keep_unset = true }),
    expand.words(rest, {}, { keep_unset = true, raw_quotes = true })
  if not plain or #plain ~= 1 or not quoted or #quoted ~= 1 then
    return nil
  end
  local _, quotes = quoted[1]:gsub("['\"]", "")
  local _, left = plain[1]:gsub("['\"]", "")
  return { name = plain[1], chomp = dash == "-", expand = quotes == left, text = "" }
end

--- Where lines are read from.
local function reader(text)
  local lines = {}
  text = text:gsub("^\239\187\191", "")
  for line in (text .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line
  end
  if lines[#lines] == "" then
    lines[#lines] = nil
  end
  return { lines = lines, at = 0 }
end

local function next_line(r)
  r.at = r.at + 1
  return r.lines[r.at]
end

--- Without the escape at its end, which says that the next line belongs to it.
local function continued(text, escape)
  local head, before = text:match("^(.-)" .. (escape == "\\" and "\\" or "`") .. "[ \t]*$"), nil
  if not head then
    return text, false
  end
  head = text:gsub("[ \t]*$", ""):sub(1, -2)
  before = head:sub(-1)
  if before == escape then
    return text, false
  end
  return head, true
end

local function keep_comment(r, line)
  if r.at > r.directives then
    r.comments[#r.comments + 1] = line:match("^%s*#*%s?(.-)%s*$")
  end
end

--- A logical line. → text, number of its first line, where its lines end; nil at the end. Comments are left in
--- r.comments.
local function logical_line(r, escape)
  local breaks = {}
  r.comments = {}
  while true do
    local text = next_line(r)
    if not text then
      return nil
    end
    text = text:gsub("\r+$", ""):gsub("^%s+", "")
    local first = r.at
    if text == "" or text:sub(1, 1) == "#" then
      keep_comment(r, text)
    else
      local more
      text, more = continued(text, escape)
      while more do
        local line = next_line(r)
        if not line then
          break
        end
        line = line:gsub("\r+$", "")
        if line:find("%S") and not line:find("^%s*#") then
          breaks[#breaks + 1] = #text
          line, more = continued(line, escape)
          text = text .. line
        elseif line:find("%S") then
          keep_comment(r, line)
        end
      end
      return text, first, breaks
    end
  end
end

local function read_heredocs(r, instruction, file)
  local inner = instruction.name == "ONBUILD" and instruction.trigger or instruction
  if not takes_heredoc[inner.name] or inner.json or not instruction.source:find("<<", 1, true) then
    return
  end
  local words = expand.words(instruction.source, {}, { raw_quotes = true, raw_escapes = true, keep_unset = true })
  for _, word in ipairs(words or {}) do
    local doc = parse.heredoc(word)
    if doc then
      local text = {}
      while true do
        local line = next_line(r)
        if not line then
          raise(file, instruction.line, "unterminated heredoc: there is no line '%s'", doc.name)
        end
        local bare = line:gsub("\r+$", "")
        if (doc.chomp and bare:gsub("^\t+", "") or bare) == doc.name then
          break
        end
        text[#text + 1] = line .. "\n"
      end
      doc.text = table.concat(text)
      instruction.heredocs[#instruction.heredocs + 1] = doc
    end
  end
end

--- Without the tabs in front of each line: <<-
function parse.chomped(text)
  return (("\n" .. text):gsub("\n\t+", "\n"):sub(2))
end

--- One logical line. Heredocs come later.
---@return imgmake.dockerfile.Instruction
local function read_instruction(text, line, file)
  local word, rest = text:match("^%s*(%S+)%s*(.-)%s*$")
  local name = word:upper()
  if not known[name] then
    local names = {}
    for k in pairs(known) do
      names[#names + 1] = k
    end
    local near = engine.nearest(name, names)
    raise(file, line, "unknown instruction: %s%s", word, near and (", did you mean %s?"):format(near) or "")
  end
  local out = { name = name, line = line, source = trim(text), heredocs = {} }
  out.flags, out.rest = read_flags(rest)
  out.rest = trim(out.rest)
  if name == "ONBUILD" then
    if out.rest == "" then
      raise(file, line, "ONBUILD requires at least one argument")
    end
    out.trigger = read_instruction(out.rest, line, file)
  elseif takes_json[name] then
    local body = name == "HEALTHCHECK" and (out.rest:match("^%S+%s+(.*)$") or "") or out.rest
    out.json = read_json(body)
    if out.json == false then
      raise(file, line, "%s: when using JSON array syntax, arrays must be comprised of strings only", name)
    end
  end
  return out
end

---@param text string
---@param file string  for messages
---@return imgmake.dockerfile.Instruction[] instructions, string escape, string[] comments behind them
function parse.text(text, file)
  local r = reader(text)
  local escape
  escape, r.directives = read_directives(r.lines, file)
  local out = {}
  while true do
    local line, number, breaks = logical_line(r, escape)
    if not line then
      break
    end
    local instruction = read_instruction(line, number, file)
    instruction.comments, instruction.breaks = r.comments, breaks
    read_heredocs(r, instruction, file)
    out[#out + 1] = instruction
  end
  if #out == 0 then
    raise(file, 1, "the file has no instructions")
  end
  return out, escape, r.comments
end

---Words at spaces; quotes and escapes hold a word together and stay in it.
---@return string[]
function parse.words(text, escape)
  local out, word, quote, blank_ok, at = {}, {}, nil, false, 1
  local function finish()
    if #word > 0 or blank_ok then
      out[#out + 1] = table.concat(word)
    end
    word, blank_ok = {}, false
  end
  while at <= #text do
    local c = text:sub(at, at)
    if not quote and c:find("%s") then
      finish()
    elseif c == escape and quote ~= "'" then
      if at < #text then
        word[#word + 1] = text:sub(at, at + 1)
      end
      at = at + 1
    else
      if c == quote then
        quote = nil
      elseif not quote and (c == "'" or c == '"') then
        quote, blank_ok = c, true
      end
      word[#word + 1] = c
    end
    at = at + 1
  end
  finish()
  return out
end

---@return string[]
function parse.split(text)
  local out = {}
  for word in text:gmatch("[^ \t\v\f\r]+") do
    out[#out + 1] = word
  end
  return out
end

return parse
