--- Scanners for known weaknesses, as checks that `deploy` waits for.
local check = require "imgmake.check"
local language = require "imgmake.language"
local object = require "imgmake.object"
local target = require "imgmake.target"

local severities = { "low", "medium", "high", "critical" }

--- The severity and all above it, as one word of trivy.
local function from_severity(name)
  local out
  for _, each in ipairs(severities) do
    if out or each == name then
      out = (out and out .. "," or "") .. each:upper()
    end
  end
  return out
end

--- Each gives the words of its command; the image is a layout in $IMAGE.
local scanners = {}

function scanners.trivy(o)
  local words = { "trivy", "image", "--quiet", "--exit-code=1", "--severity=" .. from_severity(o.severity) }
  if o.unfixed == false then
    words[#words + 1] = "--ignore-unfixed"
  end
  if o.ignore then
    words[#words + 1] = "--ignorefile=" .. o.ignore
  end
  return language.words(words) .. ' --input="$IMAGE"'
end

function scanners.grype(o)
  local words = { "grype", "--quiet", "--fail-on=" .. o.severity }
  if o.unfixed == false then
    words[#words + 1] = "--only-fixed"
  end
  if o.ignore then
    words[#words + 1] = "--config=" .. o.ignore
  end
  return language.words(words) .. ' "oci-dir:$IMAGE"'
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local scan = {}

  local function declare(tool, body)
    local who = "scan." .. tool
    local o, items = check.options(who, body, {
      image = "image", severity = check.choice(table.unpack(severities)), unfixed = "boolean", ignore = "name",
      fresh = "name", name = "name",
    })
    language.no_items(who, items)
    check.need(who, o, "image")
    o.severity = o.severity or "high"
    local name = o.name or ("%s-%s"):format(object.target(body.image).name:match("[^/]*$"), tool)
    return target.constructors(context).check(name) {
      image = body.image,
      host = true,
      fresh = o.fresh or "24h",
      run = {
        ("command -v %s >/dev/null || { echo '%s: %s is not installed on this machine, or not in PATH' >&2; exit 127; }")
          :format(tool, who, tool),
        -- What it leaves out is part of what a pass was for.
        o.ignore and ": " .. language.quote(context.api.read(o.ignore)),
        scanners[tool](o),
      },
    }
  end

  ---@class imgmake.Scan
  ---@field image imgmake.Target
  ---@field severity? "low"|"medium"|"high"|"critical"  from which on the check fails, "high" by default
  ---@field unfixed? boolean  false: what no update mends does not count
  ---@field ignore? string    a file beside the Imagefile: trivy's ignore file, grype's configuration
  ---@field fresh? string     how long a pass is remembered, "24h" by default
  ---@field name? string      of the check: "web-trivy"

  ---A check by trivy, which must be on the machine that runs it.
  ---@param body imgmake.Scan
  ---@return imgmake.Target
  function scan.trivy(body) return declare("trivy", body) end

  ---A check by grype, which must be on the machine that runs it.
  ---@param body imgmake.Scan
  ---@return imgmake.Target
  function scan.grype(body) return declare("grype", body) end

  return scan
end
