package docs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
)

// The commands that run a part of this repository name folders, scripts and
// flags that are there. The commands themselves do not run.
func TestCommandsExist(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(page.path, func(t *testing.T) {
			check := func(line string) {
				if err := exists(line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			each(page, func(n *ast.CodeSpan) { check(page.words(n)) })
			lines := func(n ast.Node) {
				for line := range strings.Lines(string(n.Lines().Value(page.source))) {
					check(strings.TrimSpace(line))
				}
			}
			each(page, func(n *ast.CodeBlock) { lines(n) })
			each(page, func(n *ast.FencedCodeBlock) { lines(n) })
		})
	}
}

var beyond = regexp.MustCompile(`\s[#|>&].*`) // a comment, or another command

// exists reports what a command names that does not exist.
func exists(line string) error {
	words := strings.Fields(beyond.ReplaceAllString(line, ""))
	switch {
	case len(words) > 0 && strings.HasPrefix(words[0], ".ci/"):
		return script(words[0], words[1:])
	case len(words) > 3 && words[0] == "go" && words[2] == "-C":
		return module(words[1], words[3], words[4:])
	}
	return nil
}

// script reports an argument that the script does not know.
func script(path string, args []string) error {
	source, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return err
	}
	for _, arg := range args {
		known := regexp.MustCompile(`(^|\W|part_)` + regexp.QuoteMeta(arg) + `(\W|$)`)
		if !known.Match(source) {
			return fmt.Errorf("the script does not know %q", arg)
		}
	}
	return nil
}

// module reports a flag that neither the go command nor the module knows.
func module(command, dir string, args []string) error {
	if _, err := os.Stat(filepath.Join(root, dir, "go.mod")); err != nil {
		return err
	}
	var known strings.Builder
	for _, help := range []string{command, "testflag", "build"} {
		text, err := exec.Command("go", "help", help).Output()
		if err != nil {
			return err
		}
		known.Write(text)
	}
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("no Go files")
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		known.Write(source)
	}
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case !strings.HasPrefix(arg, "-") || name == "h":
		case strings.Contains(known.String(), `"`+name+`"`), // as in flag.Bool("name", …)
			strings.Contains(known.String(), "\t-"+name+"\n"), // as in go help
			strings.Contains(known.String(), "\t-"+name+" "):
		default:
			return fmt.Errorf("no flag %q", arg)
		}
	}
	return nil
}
