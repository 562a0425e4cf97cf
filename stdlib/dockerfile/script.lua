--- A command in the shell's words as the lines of a `run` step, which /bin/sh -ec runs. Only what surely means the
--- same is taken apart.
local script = {}

--- Words after which a command goes on in another way than to its end.
local compound = {}
for word in ("if then elif else fi for while until do done case esac in select function time coproc { } ! [["):gmatch("%S+") do
  compound[word] = true
end

--- Of commands like these the ones behind depend on more than their status.
local bends = { set = true, trap = true, eval = true, exec = true, ["."] = true, source = true, exit = true,
  ["return"] = true, ["break"] = true, continue = true }

--- Where single quotes, double quotes, "$(" and the like begin and end. Calls see(at, character, what) for each
--- character with what is around it: "'", '"', "(" or nil. false: it is not closed.
local function scan(text, see)
  local stack, at = {}, 1
  while at <= #text do
    local c, top = text:sub(at, at), stack[#stack]
    if see then
      see(at, c, top)
    end
    if top == "'" then
      if c == "'" then
        stack[#stack] = nil
      end
    elseif c == "\\" then
      at = at + 1
    elseif c == '"' then
      if top == '"' then
        stack[#stack] = nil
      else
        stack[#stack + 1] = c
      end
    elseif c == "'" and top ~= '"' then
      stack[#stack + 1] = c
    elseif c == "(" and (top ~= '"' or text:sub(at - 1, at - 1) == "$") then
      stack[#stack + 1] = c
    elseif c == ")" and top == "(" then
      stack[#stack] = nil
    end
    at = at + 1
  end
  return #stack == 0
end

--- Its characters outside of quotes; what is in them, and escaped, is "_". nil: too hard.
local function bare(text)
  local out, skip = {}, 0
  local whole = scan(text, function(at, c, top)
    local quoted = top == "'" or top == '"' or c == "'" or c == '"' or at == skip
    out[at] = quoted and "_" or c
  end)
  -- The scan jumps over what a backslash escapes.
  for at = 1, #text do
    out[at] = out[at] or "_"
  end
  return whole and table.concat(out) or nil
end

--- Whether /bin/sh -ec does the same as /bin/sh -c: a failure in the middle may not be passed over.
local function is_strict(text)
  local plain = bare(text)
  if text:find("^%s*set%s+%-%a*e%a*[;%s]") and not text:find("set%s+%+") then
    return true
  end
  return plain and not text:find("`", 1, true) and not plain:find("[;\n#]") and not plain:find("<<", 1, true)
    and not plain:gsub("&&", ""):gsub("[<>]&", ""):gsub("&>", ""):find("&", 1, true)
    and not (text:find("$(", 1, true) and text:find("[;\n]")) or false
end

--- "a && b" → { "a", "b" } where each ends by its own failure.
local function split(text)
  local plain = bare(text)
  if plain:find("||", 1, true) or plain:find("[()]") or text:find("$(", 1, true) then
    return { text }
  end
  local out, from = {}, 1
  while true do
    local at = plain:find("&&", from, true)
    local piece = text:sub(from, at and at - 1 or #text):match("^%s*(.-)%s*$")
    for word in plain:sub(from, at and at - 1 or #text):gmatch("[^%s|]+") do
      if compound[word] then
        return { text }
      end
    end
    if piece == "" or bends[piece:match("^%S+")] then
      return { text }
    end
    out[#out + 1] = piece
    if not at then
      return out
    end
    from = at + 2
  end
end

--- With the line ends that it had, where the shell takes "\" at a line's end as Docker does.
local function broken(text, breaks)
  local quoted, ends = {}, {}
  if #text <= 100 or #breaks == 0 or text:find("\n", 1, true) or text:find("%f[%S]#") then
    return text
  end
  scan(text, function(at, _, top)
    quoted[at] = top == "'"
  end)
  for _, at in ipairs(breaks) do
    if at > 0 and at < #text and quoted[at + 1] == false and text:sub(at, at) ~= "\\" then
      ends[#ends + 1] = at
    end
  end
  local out, from = {}, 1
  for _, at in ipairs(ends) do
    local line = text:sub(from, at)
    out[#out + 1] = line .. "\\"
    from = at + 1
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out, "\n")
end

---Lines for `run`. `strict` is whether its shell gets -e. `breaks` is where the lines of the Dockerfile ended.
---@param text string
---@param breaks integer[]
---@param strict boolean
---@return string[]
function script.lines(text, breaks, strict)
  if not strict then
    return { broken(text, breaks) }
  elseif not is_strict(text) then
    return { "set +e", broken(text, breaks) }
  end
  local plain = bare(text)
  local lines = plain and not text:find("^%s*set%s") and split(text) or { text }
  return #lines > 1 and lines or { broken(text, breaks) }
end

---The packages that it installs by apt-get, if it does: nil, or a list that may be empty.
---@param text string
---@return string[]?
function script.apt(text)
  local words = text:match("apt%-get%s+[^&;|]*install%s+([^&;|]*)") or text:match("apt%s+install%s+([^&;|]*)")
  if not words or not text:find("apt%S*%s+[^&;|]*update") then
    return nil
  end
  local out = {}
  for word in words:gmatch("%S+") do
    if word:find("^[a-z0-9][a-z0-9+.-]+$") then
      out[#out + 1] = word
    elseif word:sub(1, 1) ~= "-" then
      return {}
    end
  end
  return #out <= 8 and out or {}
end

return script
