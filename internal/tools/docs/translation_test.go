package docs_test

import (
	"net/url"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/yuin/goldmark/ast"
	table "github.com/yuin/goldmark/extension/ast"
)

// The Chinese README says what the English one does, as far as that can be
// compared without reading Chinese: the same headings, lists and tables, and in
// them the same code, numbers and links.
func TestTranslationHasTheSameFacts(t *testing.T) {
	english := read(t, filepath.Join(root, "README.md"))
	chinese := read(t, filepath.Join(root, ".github/docs/README.zh-CN.md"))
	assert.Equal(t, english.outline(), chinese.outline(), "headings, lists, tables and code")
	assert.Equal(t, english.blocks(), chinese.blocks(), "code blocks")
	assert.Equal(t, english.cells(), chinese.cells(), "code and numbers in tables")
	assert.ElementsMatch(t, english.spans(), chinese.spans(), "code in text")
	assert.ElementsMatch(t, english.targets(), chinese.targets(), "links")
}

// outline is the kind of each block of the page. Headings have their level.
func (p page) outline() []string {
	var kinds []string
	each(p, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Heading:
			kinds = append(kinds, "#######"[:n.Level])
		case *ast.ListItem, *ast.CodeBlock, *ast.FencedCodeBlock, *ast.HTMLBlock, *table.TableRow:
			kinds = append(kinds, n.Kind().String())
		}
	})
	return kinds
}

// blocks are the page's code blocks.
func (p page) blocks() []string {
	var blocks []string
	add := func(n ast.Node) { blocks = append(blocks, string(n.Lines().Value(p.source))) }
	each(p, func(n *ast.FencedCodeBlock) { add(n) })
	each(p, func(n *ast.CodeBlock) { add(n) })
	return blocks
}

// Placeholders count as numbers.
var number = regexp.MustCompile(`[A-Z]+-\d+|\d[\d.,]*`)

// cells are the code and the numbers of each table cell, row by row.
func (p page) cells() [][]string {
	var cells [][]string
	each(p, func(cell *table.TableCell) {
		facts := page{node: cell, source: p.source}.spans()
		for text := cell.FirstChild(); text != nil; text = text.NextSibling() {
			if text, ok := text.(*ast.Text); ok && facts == nil {
				facts = append(facts, number.FindAllString(string(text.Value(p.source)), -1)...)
			}
		}
		cells = append(cells, facts)
	})
	return cells
}

// spans are the code spans of the page.
func (p page) spans() []string {
	var spans []string
	each(p, func(n *ast.CodeSpan) { spans = append(spans, p.words(n)) })
	return spans
}

// targets are what the page links to, from the root of the repository.
// Fragments within the page are left out, for they are translated, and so are
// the READMEs' links to each other.
func (p page) targets() []string {
	var targets []string
	add := func(link string) {
		to, err := url.Parse(link)
		if err == nil && to.Scheme == "" && to.Path != "" {
			to.Path = filepath.Join(filepath.Dir(p.path), to.Path)
			link = to.String()
		}
		if link != "" && link[0] != '#' && !readmes[filepath.Clean(link)] {
			targets = append(targets, link)
		}
	}
	each(p, func(n *ast.Link) { add(string(n.Destination)) })
	each(p, func(n *ast.Image) { add(string(n.Destination)) })
	each(p, func(n *ast.HTMLBlock) { attributes(string(n.Lines().Value(p.source)), add) })
	return targets
}

var readmes = map[string]bool{
	filepath.Join(root, "README.md"):                    true,
	filepath.Join(root, ".github/docs/README.zh-CN.md"): true,
}
