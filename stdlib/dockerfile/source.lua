--- Lua as a person would write it: strings of any content, calls and tables, broken where they get too long.
local source = {}

local WIDTH = 100

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch("%a+") do
  keywords[word] = true
end

---@class imgmake.source.Node  Lua, as text or as a call or table of others
---@field code? string
---@field text? string         a string without anything around it
---@field call? string         what is called with the table; nil: a table alone
---@field items? imgmake.source.Node[]
---@field fields? { [1]: string, [2]: imgmake.source.Node }[]
---@field fields_first? boolean
---@field in_table? boolean  a call that is an argument with braces

function source.is_name(s)
  return s:find("^[%a_][%w_]*$") ~= nil and not keywords[s]
end

--- Between brackets nothing is escaped, but line ends become "\n" and a first one is lost.
local function bracketed(s)
  local level = ""
  while (s .. "]" .. level .. "]"):find("]" .. level .. "]", 1, true) ~= #s + 1 do
    level = level .. "="
  end
  return "[" .. level .. "[" .. (s:find("\n", 1, true) and "\n" or "") .. s .. "]" .. level .. "]"
end

local escapes = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escaped(s)
  local valid = utf8.len(s) ~= nil
  local out = s:gsub('[%c\\"\128-\255]', function(c)
    if escapes[c] or (valid and c:byte() >= 128) then
      return escapes[c]
    end
    return ("\\%03d"):format(c:byte())
  end)
  return '"' .. out .. '"'
end

---A string that Lua reads back as `s`.
---@param s string
---@return string
function source.quote(s)
  local odd = s:gsub("[\n\t]", ""):find("%c") or utf8.len(s) == nil
  if odd or (not s:find('[\n\\"]') and not s:find("\t", 1, true)) then
    return escaped(s)
  elseif not s:find("[\n\\'\t]") then
    return "'" .. s .. "'"
  elseif s:find("\n", 1, true) and #s > 1 or s:find('[\\"]') and #s > 8 then
    return bracketed(s)
  end
  return escaped(s)
end

---@return imgmake.source.Node
function source.text(s)
  return { code = source.quote(s), text = s }
end

---@return imgmake.source.Node
function source.code(s)
  return { code = s }
end

---A call of `name`, or a table if that is nil. Fields whose value is nil are left out.
---@return imgmake.source.Node
function source.table(name, items, fields)
  return { call = name, items = items or {}, fields = fields or {} }
end

---A field for source.table.
function source.field(name, node)
  return { name, node }
end

local function key(name)
  return source.is_name(name) and name or "[" .. escaped(name) .. "]"
end

--- What stands behind a name that is called with one string.
local function argument(node)
  if node.text then
    return " " .. node.code
  end
  return "(" .. node.code .. ")"
end

local function is_single(node)
  local first = node.items[1]
  return node.call and #node.items == 1 and #node.fields == 0 and first.code and not first.in_table
end

--- On one line; nil if that cannot be.
local function flat(node)
  if node.code then
    return not node.code:find("\n", 1, true) and node.code or nil
  elseif is_single(node) then
    local inside = flat(node.items[1])
    return inside and node.call .. argument(node.items[1])
  end
  local parts = {}
  for _, item in ipairs(node.items) do
    parts[#parts + 1] = flat(item)
  end
  for _, f in ipairs(node.fields) do
    local value = flat(f[2])
    parts[#parts + 1] = value and key(f[1]) .. " = " .. value
  end
  if #parts < #node.items + #node.fields then
    return nil
  end
  local body = #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
  return (node.call and node.call .. " " or "") .. body
end

---The node as text; `column` is where its first line begins, `indent` what its lines have in front.
---@param node imgmake.source.Node
---@return string
function source.write(node, indent, column)
  local line = flat(node)
  if line and (column + #line <= WIDTH or node.code or is_single(node)) then
    return line
  elseif node.code then
    return node.code
  elseif is_single(node) then
    return node.call .. argument(node.items[1])
  end
  local inner, out, named = indent .. "  ", { (node.call and node.call .. " " or "") .. "{" }, {}
  for i, f in ipairs(node.fields) do
    local name = key(f[1]) .. " = "
    named[i] = inner .. name .. source.write(f[2], inner, #inner + #name) .. ","
  end
  table.move(named, 1, node.fields_first and #named or 0, 2, out)
  for _, item in ipairs(node.items) do
    out[#out + 1] = inner .. source.write(item, inner, #inner) .. ","
  end
  table.move(named, 1, node.fields_first and 0 or #named, #out + 1, out)
  out[#out + 1] = indent .. "}"
  return table.concat(out, "\n")
end

---A name for a local, like `name`, that is not in `taken`; takes it.
---@param taken table<string, boolean>
function source.name(name, suffix, taken)
  local plain = name:lower():gsub("[^%w]+", "_"):gsub("^_+", ""):gsub("_+$", "")
  if plain == "" or plain:find("^%d") then
    plain = suffix .. (plain == "" and "" or "_" .. plain)
  end
  local out, n = plain, 1
  if taken[out] or not source.is_name(out) then
    out = plain .. "_" .. suffix
  end
  while taken[out] do
    n = n + 1
    out = plain .. "_" .. suffix .. n
  end
  taken[out] = true
  return out
end

return source
