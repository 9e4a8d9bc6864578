package build

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// position is how the go command begins a line about a place in a file.
var position = regexp.MustCompile(`^(\s*)([^\s:]+\.(?:go|mod|sum|work)):(\d+)`)

// locate rewrites the file names of the go command's output, which are relative
// to the directory that it ran in, so that they lead there from ours. Lines that only
// name a package are left out.
func locate(output, dir string) string {
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "# ") || line == "" {
			continue
		}
		if m := position.FindStringSubmatch(line); m != nil {
			file := m[2]
			if !filepath.IsAbs(file) {
				file = filepath.Join(dir, file)
			}
			line = m[1] + relative(file) + line[len(m[1])+len(m[2]):]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// relative returns the path as seen from the working directory when it lies
// below it, and as it is otherwise.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
