--- Words of a Dockerfile: quotes, escapes and ${VARIABLES}, as BuildKit's frontend/dockerfile/shell does.
local expand = {}

---@class imgmake.dockerfile.Lex
---@field escape? string         "\\" or "`"
---@field raw_quotes? boolean    quotes stay in the result
---@field raw_escapes? boolean   escapes stay in the result
---@field no_quotes? boolean     quotes are characters like others
---@field keep_unset? boolean    what has no value stays as it was written

local special = { ["@"] = true, ["*"] = true, ["#"] = true, ["?"] = true, ["-"] = true, ["$"] = true, ["!"] = true }

--- Caught by expand.word and expand.words.
local function fail(message, ...)
  error({ dockerfile = message:format(...) }, 0)
end

local function peek(w)
  return w.text:sub(w.at, w.at)
end

--- The next character, whole; "" at the end.
local function take(w)
  local c = w.text:match("^[%z\1-\127\192-\255][\128-\191]*", w.at) or peek(w)
  w.at = w.at + #c
  return c
end

--- A pattern as a list of literal characters, "?" as { any }, "*" as { star }.
local function read_pattern(text)
  local out, at = {}, 1
  while at <= #text do
    local c = text:match("^[%z\1-\127\192-\255][\128-\191]*", at) or text:sub(at, at)
    at = at + #c
    if c == "*" then
      out[#out + 1] = { star = true }
    elseif c == "?" then
      out[#out + 1] = { any = true }
    elseif c ~= "\\" then
      out[#out + 1] = { literal = c }
    else
      local follows = text:sub(at, at)
      if follows == "*" or follows == "?" or follows == "\\" then
        out[#out + 1] = { literal = follows }
        at = at + 1
      elseif follows ~= "}" and follows ~= "/" then
        fail("invalid pattern (%s) in substitution: invalid escape '\\%s'", text, follows)
      end
    end
  end
  return out
end

--- Where a match that begins at `from` may end: { [position behind it] = true }.
local function ends(pattern, text, from)
  local at = { [from] = true }
  for _, token in ipairs(pattern) do
    local to = {}
    if token.star then
      local open = false
      for i = from, #text + 1 do
        open = (open and text:sub(i - 1, i - 1) ~= "\n") or at[i] or false
        to[i] = open or nil
      end
    else
      for i in rawpairs(at) do
        local c = token.literal or text:match("^[^\n\128-\191][\128-\191]*", i)
        if c and c ~= "" and text:sub(i, i + #c - 1) == c then
          to[i + #c] = true
        end
      end
    end
    at = to
  end
  return at
end

local function best(set, greedy)
  local found
  for i in rawpairs(set) do
    if not found or (greedy and i > found) or (not greedy and i < found) then
      found = i
    end
  end
  return found
end

local function trim_prefix(word, value, greedy)
  local to = best(ends(read_pattern(word), value, 1), greedy)
  return to and value:sub(to) or value
end

local function trim_suffix(word, value, greedy)
  local pattern, first, last, step = read_pattern(word), #value + 1, 1, -1
  if greedy then
    first, last, step = 1, #value + 1, 1
  end
  for i = first, last, step do
    if ends(pattern, value, i)[#value + 1] then
      return value:sub(1, i - 1)
    end
  end
  return value
end

local function replace(word, replacement, value, all)
  local pattern, out, at, after = read_pattern(word), {}, 1, nil
  while at <= #value + 1 do
    local to = best(ends(pattern, value, at), true)
    if to and not (to == at and after == at) then
      out[#out + 1] = replacement
      if not all then
        return table.concat(out) .. value:sub(to)
      end
      after = to
    end
    if not to or to == at then
      out[#out + 1] = value:sub(at, at)
      to = at + 1
    end
    at = to
  end
  return table.concat(out)
end

local dollar

local function single_quoted(w)
  local close = w.text:find("'", w.at + 1, true)
  if not close then
    fail("unexpected end of statement while looking for matching single-quote")
  end
  local inside = w.text:sub(w.at + 1, close - 1)
  w.at = close + 1
  return w.o.raw_quotes and "'" .. inside .. "'" or inside
end

local function double_quoted(w)
  local quote = w.o.raw_quotes and '"' or ""
  local out = { quote }
  w.at = w.at + 1
  while true do
    local c = peek(w)
    if c == "" then
      fail("unexpected end of statement while looking for matching double-quote")
    elseif c == '"' then
      w.at = w.at + 1
      out[#out + 1] = quote
      return table.concat(out)
    elseif c == "$" then
      out[#out + 1] = dollar(w)
    else
      c = take(w)
      if c == w.escape then
        if w.raw_escapes then
          out[#out + 1] = c
        end
        local follows = peek(w)
        if follows == '"' or follows == "$" or follows == w.escape then
          c = take(w)
        elseif follows == "" then
          c = ""
        end
      end
      out[#out + 1] = c
    end
  end
end

local function add_char(words, c)
  if not c:find("^%s") then
    words.word = (words.word or "") .. c
  elseif words.word and words.word ~= "" then
    words[#words + 1], words.word = words.word, nil
  end
end

local function add_raw(words, text)
  words.word = (words.word or "") .. text
end

--- Up to `stop` or the end. → text, words
local function process(w, stop, raw_escapes)
  local before, out, words = w.raw_escapes, {}, {}
  w.raw_escapes = raw_escapes
  while peek(w) ~= "" do
    local c = peek(w)
    if c == stop then
      break
    elseif c == "$" then
      local text = dollar(w)
      out[#out + 1] = text
      for char in text:gmatch("[%z\1-\127\192-\255][\128-\191]*") do
        add_char(words, char)
      end
    elseif (c == "'" or c == '"') and not w.o.no_quotes then
      local text = c == "'" and single_quoted(w) or c == '"' and double_quoted(w)
      out[#out + 1] = text
      add_raw(words, text)
    else
      c = take(w)
      if c == w.escape then
        if w.raw_escapes then
          add_raw(words, c)
          out[#out + 1] = c
        end
        c = take(w)
        if c ~= "" then
          add_raw(words, c)
        end
      else
        add_char(words, c)
      end
      out[#out + 1] = c
    end
  end
  if stop and peek(w) == "" then
    fail(stop == "/" and "syntax error: missing '/' in ${}" or "syntax error: missing '}'")
  elseif stop then
    w.at = w.at + 1
  end
  w.raw_escapes = before
  if words.word and words.word ~= "" then
    words[#words + 1] = words.word
  end
  words.word = nil
  return table.concat(out), words
end

local function name_of(w)
  local name = w.text:match("^%d+", w.at) or w.text:match("^[%a_\128-\255][%w_\128-\255]*", w.at)
  if not name and special[peek(w)] then
    name = peek(w)
  end
  w.at = w.at + #(name or "")
  return name or ""
end

local function must_have(name, word, value, null_is_unset)
  if value == nil then
    fail("%s: %s", name, word ~= "" and word or "is not allowed to be unset")
  elseif null_is_unset and value == "" then
    fail("%s: %s", name, word ~= "" and word or "is not allowed to be empty")
  end
  return value
end

local function trimmed(kind, word, value)
  local greedy = word:sub(1, 1) == kind
  word = greedy and word:sub(2) or word
  return (kind == "%" and trim_suffix or trim_prefix)(word, value or "", greedy)
end

--- ${name-word} and the like, behind the name.
local function modified(w, name)
  local modifier = take(w)
  local shown, null_is_unset = modifier, false
  if modifier == ":" then
    null_is_unset = true
    modifier = take(w)
    shown = shown .. modifier
  end
  if not null_is_unset and not modifier:find("^[-+?#%%]$") then
    fail("unsupported modifier (%s) in substitution", shown)
  end
  local word = process(w, "}", modifier == "#" or modifier == "%")
  local value = w.env[name]
  if w.o.keep_unset and value == nil then
    return ("${%s%s%s}"):format(name, shown, word)
  elseif modifier == "-" then
    return (value == nil or (null_is_unset and value == "")) and word or value
  elseif modifier == "+" then
    return (value == nil or (null_is_unset and value == "")) and "" or word
  elseif modifier == "?" then
    return must_have(name, word, value, null_is_unset)
  elseif modifier == "#" or modifier == "%" then
    return trimmed(modifier, word, value)
  end
  fail("unsupported modifier (%s) in substitution", shown)
end

local function replaced(w, name)
  w.at = w.at + 1
  local all = peek(w) == "/"
  if all then
    w.at = w.at + 1
  end
  local pattern = process(w, "/", true)
  local replacement = process(w, "}", true)
  local value = w.env[name]
  if w.o.keep_unset and value == nil then
    return ("${%s/%s/%s}"):format(name, pattern, replacement)
  end
  return replace(pattern, replacement, value or "", all)
end

function dollar(w)
  w.at = w.at + 1
  if peek(w) ~= "{" then
    local name = name_of(w)
    if name == "" then
      return "$"
    end
    return w.env[name] or (w.o.keep_unset and "$" .. name or "")
  end
  w.at = w.at + 1
  local c = peek(w)
  if c == "" then
    fail("syntax error: missing '}'")
  elseif c == "{" or c == "}" or c == ":" then
    fail("syntax error: bad substitution")
  end
  local name = name_of(w)
  c = peek(w)
  if c == "}" then
    w.at = w.at + 1
    return w.env[name] or (w.o.keep_unset and "${" .. name .. "}" or "")
  elseif c == "/" then
    return replaced(w, name)
  elseif c == "" then
    fail("syntax error: missing '}'")
  end
  return modified(w, name)
end

local function run(text, env, options)
  local o = options or {}
  local w = { text = text, at = 1, env = env, o = o, escape = o.escape or "\\", raw_escapes = o.raw_escapes }
  local ok, result, words = pcall(process, w, nil, o.raw_escapes)
  if ok then
    return result, words
  elseif type(result) ~= "table" or not result.dockerfile then
    error(result, 0)
  end
  return nil, nil, result.dockerfile
end

---One word: variables replaced, quotes and escapes taken away.
---@param text string
---@param env table<string, string>
---@param options? imgmake.dockerfile.Lex
---@return string? result, string? message
function expand.word(text, env, options)
  local result, _, message = run(text, env, options)
  return result, message
end

---Words, split at spaces that are not quoted, after variables are replaced.
---@param text string
---@param env table<string, string>
---@param options? imgmake.dockerfile.Lex
---@return string[]? words, string? message
function expand.words(text, env, options)
  local _, words, message = run(text, env, options)
  return words, message
end

return expand
