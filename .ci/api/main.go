// Command api prints the exported surface of the package in the current folder
// as a Go file: declarations without documentation, functions without a body,
// and of what is not exported only what users notice. To apidiff that file is
// the package itself.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	pkg, err := load()
	if err == nil {
		err = write(pkg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

// write prints the surface of the package.
func write(pkg *types.Package) error {
	p := printer{pkg: pkg, imports: make(map[string]bool)}
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		if token.IsExported(name) {
			p.object(scope.Lookup(name))
		}
	}
	var file bytes.Buffer
	fmt.Fprintf(&file, "package %s\n\n", pkg.Name())
	for _, path := range slices.Sorted(maps.Keys(p.imports)) {
		fmt.Fprintf(&file, "import %q\n", path)
	}
	file.Write(p.decls.Bytes())
	surface, err := format.Source(file.Bytes())
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(surface)
	return err
}

// load type-checks the package in the current folder.
func load() (*types.Package, error) {
	found, err := build.ImportDir(".", 0)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range found.GoFiles {
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	config := types.Config{IgnoreFuncBodies: true, Importer: importer.ForCompiler(fset, "source", nil)}
	return config.Check(found.Name, fset, files, nil)
}

// printer prints declarations and notes what they import.
type printer struct {
	pkg     *types.Package
	decls   bytes.Buffer
	imports map[string]bool
}

// object prints what is declared at the top level.
func (p *printer) object(obj types.Object) {
	switch obj := obj.(type) {
	case *types.Const:
		fmt.Fprintf(&p.decls, "\nconst %s %s = %s\n", obj.Name(), p.typ(obj.Type()), obj.Val().ExactString())
	case *types.Func:
		fmt.Fprintf(&p.decls, "\n%s { panic(0) }\n", types.ObjectString(obj, p.qualify))
	case *types.TypeName:
		if obj.IsAlias() {
			fmt.Fprintf(&p.decls, "\n%s\n", types.ObjectString(obj, p.qualify))
			return
		}
		named := obj.Type().(*types.Named)
		fmt.Fprintf(&p.decls, "\ntype %s %s\n", p.typ(named), p.typ(p.visible(named.Underlying())))
		for method := range named.Methods() {
			if method.Exported() {
				p.method(method)
			}
		}
	default:
		fmt.Fprintf(&p.decls, "\n%s\n", types.ObjectString(obj, p.qualify))
	}
}

// method prints a method of a defined type.
func (p *printer) method(f *types.Func) {
	receiver := p.typ(f.Signature().Recv().Type())
	signature := strings.TrimPrefix(p.typ(f.Signature()), "func")
	fmt.Fprintf(&p.decls, "\nfunc (%s) %s%s { panic(0) }\n", receiver, f.Name(), signature)
}

// visible is t with one field or method in place of all that are not exported:
// what they are is nobody's business, but that there are some is.
func (p *printer) visible(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Struct:
		var fields []*types.Var
		for field := range t.Fields() {
			if field.Exported() {
				fields = append(fields, field)
			}
		}
		if len(fields) < t.NumFields() {
			var hidden types.Type = types.NewStruct(nil, nil)
			if !types.Comparable(t) {
				hidden = types.NewSlice(hidden)
			}
			fields = append(fields, types.NewField(token.NoPos, p.pkg, "_", hidden, false))
		}
		return types.NewStruct(fields, nil)
	case *types.Interface:
		var methods []*types.Func
		for method := range t.Methods() {
			if method.Exported() {
				methods = append(methods, method)
			}
		}
		if len(methods) == t.NumMethods() {
			return t
		}
		hidden := types.NewSignatureType(nil, nil, nil, nil, nil, false)
		methods = append(methods, types.NewFunc(token.NoPos, p.pkg, "hidden", hidden))
		return types.NewInterfaceType(methods, nil)
	default:
		return t
	}
}

func (p *printer) typ(t types.Type) string { return types.TypeString(t, p.qualify) }

// qualify is how the file names a package.
func (p *printer) qualify(pkg *types.Package) string {
	if pkg == p.pkg {
		return ""
	}
	p.imports[pkg.Path()] = true
	return pkg.Name()
}
