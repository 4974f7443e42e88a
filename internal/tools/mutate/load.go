package main

import (
	"bytes"
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
	"slices"
	"strings"
)

// module is the code to mutate, and the packages whose tests may notice.
type module struct {
	dir      string
	fset     *token.FileSet
	packages []*pkg
	imports  types.Importer
	tests    []string // folders of packages
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

// load reads the package in dir and those of its module that it imports: they
// are the code. Packages in dir and below whose tests use it are the tests.
func load(ctx context.Context, dir string) (*module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	code, err := list(ctx, dir, "-export", "-deps", ".")
	if err != nil {
		return nil, err
	}
	m := &module{dir: dir, fset: token.NewFileSet()}
	exports := map[string]string{}
	for _, p := range code {
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
	m.tests, err = m.testers(ctx)
	return m, err
}

// testers lists the folders of the packages whose tests use the code.
func (m *module) testers(ctx context.Context) (dirs []string, err error) {
	programs, err := list(ctx, m.dir, "-test", "./...")
	if err != nil {
		return nil, err
	}
	for _, p := range programs {
		if p.Name != "main" || !strings.HasSuffix(p.ImportPath, ".test") {
			continue // a package, as it is or as its tests see it
		}
		uses := slices.ContainsFunc(p.Deps, func(dep string) bool {
			dep, _, _ = strings.Cut(dep, " ") // "sample [sample.test]" is sample with its tests
			return slices.ContainsFunc(m.packages, func(code *pkg) bool { return code.path == dep })
		})
		if uses {
			dirs = append(dirs, p.Dir)
		}
	}
	if dirs == nil {
		return nil, errors.New("no tests use the code")
	}
	return dirs, nil
}

// listing is what go list says of a package.
type listing struct {
	ImportPath, Name, Dir, Export string
	GoFiles, Deps                 []string
	Module                        *struct{ Main bool }
}

// list runs go list.
func list(ctx context.Context, dir string, args ...string) (packages []listing, err error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listing
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
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
