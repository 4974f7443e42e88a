package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// root is the folder of the repository.
const root = "../../.."

// A page is a Markdown file.
type page struct {
	path   string
	source []byte
	node   ast.Node
}

// pages are the Markdown files of the repository.
func pages(t *testing.T) []page {
	t.Helper()
	var pages []page
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			pages = append(pages, read(t, path))
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	return pages
}

// read parses a file as GitHub does.
func read(t *testing.T, path string) page {
	t.Helper()
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM))
	return page{path, source, markdown.Parser().Parse(text.NewReader(source))}
}

// each calls fn with every node of type N.
func each[N ast.Node](p page, fn func(N)) {
	_ = ast.Walk(p.node, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if n, ok := node.(N); ok && entering {
			fn(n)
		}
		return ast.WalkContinue, nil
	})
}

// words is the text in a node, without its markup.
func (p page) words(node ast.Node) string {
	var words strings.Builder
	each(page{node: node}, func(t *ast.Text) { words.Write(t.Value(p.source)) })
	return words.String()
}
