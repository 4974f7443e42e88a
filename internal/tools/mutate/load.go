package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// module is the code to mutate.
type module struct {
	dir      string
	fset     *token.FileSet
	packages []*pkg
	imports  types.Importer
}

// pkg is a package of the module.
type pkg struct {
	path, dir, name string
	files           []*file
}

// file is a file of a package, not a test.
type file struct {
	name string // in the module
	path string
	text string
	fset *token.FileSet
	tree *ast.File
}

// offset is the place of pos in the text.
func (f *file) offset(pos token.Pos) int { return f.fset.Position(pos).Offset }

// load reads the packages in dir and below.
func load(ctx context.Context, dir string) (*module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	list := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-json=ImportPath,Name,Dir,GoFiles,Export,Module", "./...")
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	m := &module{dir: dir, fset: token.NewFileSet()}
	exports := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Name, Dir, Export string
			GoFiles                       []string
			Module                        *struct{ Main bool }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		if p.Module == nil || !p.Module.Main {
			continue
		}
		loaded := &pkg{path: p.ImportPath, dir: p.Dir, name: p.Name}
		for _, name := range p.GoFiles {
			if err := loaded.parse(m, filepath.Join(p.Dir, name)); err != nil {
				return nil, err
			}
		}
		m.packages = append(m.packages, loaded)
	}
	m.imports = importer.ForCompiler(m.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return m, nil
}

// parse adds a file.
func (p *pkg) parse(m *module, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(m.dir, path)
	if err != nil {
		return err
	}
	tree, err := parser.ParseFile(m.fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	p.files = append(p.files, &file{filepath.ToSlash(name), path, string(text), m.fset, tree})
	return nil
}

// mutants lists the mutants that compile, and counts those that do not.
func (m *module) mutants(only *regexp.Regexp) (all []*mutant, uncompilable int, err error) {
	for _, p := range m.packages {
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
		checked, err := m.check(p, nil, info)
		if err != nil {
			return nil, 0, err
		}
		for _, f := range p.files {
			if !only.MatchString(f.name) {
				continue
			}
			for _, mutant := range find(f, checked, info) {
				if _, err := m.check(p, mutant, nil); err != nil {
					uncompilable++
				} else {
					all = append(all, mutant)
				}
			}
		}
	}
	return all, uncompilable, nil
}

// check compiles a package, with a mutant if that is not nil, as far as its
// types.
func (m *module) check(p *pkg, with *mutant, info *types.Info) (*types.Package, error) {
	var trees []*ast.File
	for _, f := range p.files {
		tree := f.tree
		if with != nil && with.File == f.name {
			var err error
			if tree, err = parser.ParseFile(m.fset, "", weave(f.text, []*mutant{with}, nil), parser.SkipObjectResolution); err != nil {
				return nil, err
			}
		}
		trees = append(trees, tree)
	}
	if with != nil {
		board, err := parser.ParseFile(m.fset, "", "package "+p.name+"; var mutant int", 0)
		if err != nil {
			return nil, err
		}
		trees = append(trees, board)
	}
	config := &types.Config{Importer: m.imports}
	return config.Check(p.path, m.fset, trees, info)
}
