# The manual pages as plain text by topic, for "imgmake help TOPIC": awk -f docs/topics.awk docs/*.[15]
# A topic is "\001KEY\n", the heading, and its text: what our pages use of mdoc(7), a paragraph a line, wrapped when it
# is shown (cmd/help.c). "\002" at a line's beginning is a level of indentation; "\003" after them: as it is.
BEGIN {
	split("Cm Ic Li Nm Ev Ar Pa Sx No Em Sy", plain); for (i in plain) is_plain[plain[i]] = 1
	open["Qq"] = "\""; close_["Qq"] = "\""; open["Sq"] = "'"; close_["Sq"] = "'"; open["Brq"] = "{ "; close_["Brq"] = " }"
	open["Ql"] = "'"; close_["Ql"] = "'"
	open["Op"] = "["; close_["Op"] = "]"; open["Pq"] = "("; close_["Pq"] = ")"; open["Oo"] = "["; open["Po"] = "("
	open["Qo"] = "\""
}

function emit(text) {
	if (glue || line == "" || (text ~ /^[.,;:)\]]+$/ && text != "..."))
		line = line text
	else
		line = line " " text
	glue = (text == "(" || text == "[" || text == "{")
}

# Words of a macro line, "quoted ones" whole.
function words(s,   n, q) {
	n = 0
	while (match(s, /^[ \t]*("([^"]|"")*"|[^ \t]+)/)) {
		q = substr(s, 1, RLENGTH); s = substr(s, RLENGTH + 1)
		sub(/^[ \t]+/, "", q)
		if (q ~ /^".*"$/ && length(q) > 1)
			q = "\004" substr(q, 2, length(q) - 2)
		word[++n] = q
	}
	return n
}

function clean(s) {
	sub(/^\004/, "", s)
	gsub(/\\&/, "", s); gsub(/\\-/, "-", s); gsub(/\\e/, "\\", s); gsub(/\\\(aq/, "'", s)
	gsub(/\\\(dq/, "\"", s)
	return s
}

function inline(s,   n, i, w, pending, flag, last) {
	n = words(s)
	for (last = n; last > 0 && word[last] ~ /^[.,;:)]$/; last--)
		;
	pending = ""
	for (i = 1; i <= n; i++) {
		w = word[i]
		if (i == last + 1 && pending != "") {
			line = line pending; pending = ""
		}
		if (w == "Ns") { glue = 1; flag = 0 }
		else if (w == "Ap") { line = line "'"; glue = 1 }
		else if (w == "Oo" || w == "Po" || w == "Qo") { emit(open[w]); glue = 1 }
		else if (w == "Qc") { line = line "\""; glue = 0 }
		else if (w == "Oc") { line = line "]"; glue = 0 }
		else if (w == "Pc") { line = line ")"; glue = 0 }
		else if (w == "Fl") { flag = 1 }
		else if (w == "Xr") { emit(word[i + 1] "(" word[i + 2] ")"); i += 2 }
		else if (w in open) { emit(open[w]); glue = 1; pending = close_[w] pending }
		else if (w in is_plain) { if (w == "No") flag = 0; if (w == "Nm" && (i == n || word[i + 1] ~ /^[.,;:)]$/)) emit("imgmake") }
		else if (flag) { emit("-" clean(w)); flag = 0 }
		else emit(clean(w))
	}
	if (pending != "")
		line = line pending
}

function indent(   s, i) {
	s = ""
	for (i = 0; i < depth; i++) s = s "\002"
	return s
}

function flush() {
	if (line != "")
		put(indent() line)
	line = ""; glue = 0
}

function put(s) {
	section_text = section_text s "\n"
	if (key != "" && depth >= 1) item_text = item_text substr(s, 2) "\n"
}

function end_item(   n, i, part) {
	if (key != "") {
		n = split(key, part, /[ ]*,[ ]*/)
		for (i = 1; i <= n; i++)
			if (sub(/^--/, "", part[i]) || length(part[i]) > 2)
				printf "\001%s\n%s: %s\n%s", part[i], page, head, item_text
	}
	key = ""; item_text = ""
}

function end_section() {
	flush(); end_item()
	if (section != "" && section !~ /^(NAME|SYNOPSIS|SEE ALSO|COMMANDS)$/)
		printf "\001%s\n%s: %s\n%s", tolower(section), page, section, section_text
	section_text = ""
}

FNR == 1 { end_section(); section = ""; depth = 0; page = FILENAME; sub(/.*\//, "", page); page = substr(page, 1, length(page) - 2) "(" substr(page, length(page)) ")" }
literal && !/^\.Ed/ { put(indent() "\002\003" clean($0)); next }
/^\.(Dd|Dt|Os|Nd)/ || /^\.\\"/ { next }
/^\.Sh/ { end_section(); section = substr($0, 5); gsub(/"/, "", section); depth = 0; next }
/^\.Bl/ { flush(); depth++; lists++; next }
/^\.El/ { flush(); if (depth == 1) end_item(); depth--; next }
/^\.Bd/ { flush(); literal = 1; next }
/^\.Ed/ { literal = 0; next }
/^\.Pp/ { flush(); put(""); next }
/^\.It/ {
	flush(); if (depth == 1) end_item()
	inline(substr($0, 5))
	if (depth == 1 && section != "COMMANDS") {
		head = line; key = line
		gsub(/\(\)/, "", key); sub(/[ (\[{]*[{[(].*/, "", key)
		if (key ~ /^-/) sub(/ [^-,].*/, "", key)
		else if ($2 == "Ic" || $2 == "Cm") { if (key !~ /,/) sub(/ .*/, "", key) }
		gsub(/"/, "", key)
	}
	label = line; line = ""; glue = 0
	depth--; put("")
	if (label != "") put(indent() label)
	depth++
	next
}
/^\./ { inline(substr($0, 2)); next }
{ emit(clean($0)) }
END { end_section() }
