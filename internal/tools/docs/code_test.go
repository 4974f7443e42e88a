package docs_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/campoy/embedmd/embedmd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	markdown "github.com/yuin/goldmark/ast"
)

var update = flag.Bool("update", false, "write the code of the examples into the Markdown files")

// A block of Go code in a Markdown file is the body of an example, or a whole
// program. The line before it names it:
//
//	[embedmd]:# (example_test.go#ExampleGather go)
//	[embedmd]:# (internal/demo/readme/main.go go)
func TestGoCodeIsThatOfExamples(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(page.path, func(t *testing.T) {
			each(page, func(block *markdown.FencedCodeBlock) {
				code := block.Lines().Value(page.source)
				if string(block.Language(page.source)) != "go" || len(bytes.TrimSpace(code)) == 0 {
					return // an empty one is a form to fill in
				}
				before := bytes.Split(page.source[:block.Info.Segment.Start], []byte("\n"))
				require.Greater(t, len(before), 1, "the file begins with Go code")
				if !bytes.HasPrefix(before[len(before)-2], []byte("[embedmd]:#")) {
					t.Errorf("the Go code in line %d names no example", len(before))
				}
			})

			var want bytes.Buffer
			err := embedmd.Process(&want, bytes.NewReader(page.source),
				embedmd.WithBaseDir(filepath.Dir(page.path)), embedmd.WithFetcher(examples{}))
			require.NoError(t, err)
			if *update {
				require.NoError(t, os.WriteFile(page.path, want.Bytes(), 0o666))
				return
			}
			assert.Equal(t, want.String(), string(page.source), "write it anew by: go test -C internal/tools/docs -update")
		})
	}
}

// examples tells embedmd what stands at file_test.go#ExampleName, or in a file.
type examples struct{}

var output = regexp.MustCompile(`\n\t// (Unordered output|Output):`)

// Fetch returns the body of the example, without its output, or the file.
func (examples) Fetch(dir, path string) ([]byte, error) {
	path, name, example := strings.Cut(path, "#")
	source, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil || !example {
		return source, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		return nil, err
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Name.Name != name {
			continue
		}
		body := source[files.Position(fn.Body.Lbrace).Offset+1 : files.Position(fn.Body.Rbrace).Offset]
		end := output.FindIndex(body)
		if end == nil {
			return nil, fmt.Errorf("%s has no output, so it does not run", name)
		}
		return bytes.TrimSpace(bytes.ReplaceAll(body[:end[0]], []byte("\n\t"), []byte("\n"))), nil
	}
	return nil, fmt.Errorf("no function %q", name)
}
