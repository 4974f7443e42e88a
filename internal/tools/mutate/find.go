package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// A mutant is one small change of the code, to be noticed by a test.
type mutant struct {
	change
	line int

	// The node from start to end is to be replaced by text.
	start, end int
	text       string
	kind       kind
	result     string // the type of an expression
}

// kind tells what kind of node a mutant replaces.
type kind int

const (
	statement  kind = iota // in a list of statements
	branch                 // after else
	expression             // that is no constant the compiler needs
)

// finder finds the mutants of a file.
type finder struct {
	*file
	types   *types.Package
	info    *types.Info
	fn      string            // the function around
	implied map[ast.Expr]bool // operands: to drop one is to make it true or false
	mutants []*mutant
}

// find lists the mutants of a file. A change that another one implies is left
// out: who notices that a && b has become a, or b, would notice a || b too.
func find(f *file, in *types.Package, info *types.Info) []*mutant {
	x := &finder{file: f, types: in, info: info, implied: map[ast.Expr]bool{}}
	for _, decl := range f.tree.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			x.fn = fn.Name.Name
		} else if gen := decl.(*ast.GenDecl); gen.Tok == token.VAR {
			x.fn = "var"
		} else {
			continue // constants must stay constants
		}
		ast.Inspect(decl, x.visit)
	}
	return x.mutants
}

// visit adds the mutants of a node, not of those in it.
func (x *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.BlockStmt:
		x.list(n.List)
	case *ast.CaseClause:
		x.list(n.Body)
	case *ast.CommClause:
		x.list(n.Body)
	case *ast.IfStmt:
		x.truth(n.Cond)
		if n.Else != nil {
			m := x.add(n.Else, branch, "")
			m.show(x.file, x.offset(n.Body.End()), m.end, "")
		}
	case *ast.ForStmt:
		if n.Cond != nil {
			x.truth(n.Cond)
		}
	case *ast.SwitchStmt:
		for _, clause := range n.Body.List {
			for _, cond := range clause.(*ast.CaseClause).List {
				if n.Tag == nil {
					x.truth(cond)
				}
			}
		}
	case *ast.BinaryExpr:
		x.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			x.truth(n)
		}
		if lit, ok := n.X.(*ast.BasicLit); ok && n.Op == token.SUB {
			x.literal(n, lit, "-")
			return false // only the whole is of the type that is needed
		}
	case *ast.Ident:
		switch x.info.Uses[n] {
		case types.Universe.Lookup("true"):
			x.add(n, expression, "false")
		case types.Universe.Lookup("false"):
			x.add(n, expression, "true")
		}
	case *ast.BasicLit:
		x.literal(n, n, "")
	}
	return true
}

// literal adds the neighbors of a small number.
func (x *finder) literal(node ast.Expr, n *ast.BasicLit, sign string) {
	if k, err := strconv.Atoi(n.Value); err == nil && n.Kind == token.INT {
		x.add(node, expression, sign+strconv.Itoa(k+1))
		if k > 0 {
			x.add(node, expression, sign+strconv.Itoa(k-1))
		}
	}
}

// list adds the mutants of the statements of a list.
func (x *finder) list(list []ast.Stmt) {
	for _, stmt := range list {
		switch s := stmt.(type) {
		case *ast.DeclStmt, *ast.IfStmt, *ast.LabeledStmt, *ast.EmptyStmt, *ast.CaseClause, *ast.CommClause:
			continue // an if is deleted by a condition that is false
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
			x.assign(s)
		case *ast.IncDecStmt:
			op := map[token.Token]string{token.INC: "--", token.DEC: "++"}[s.Tok]
			x.add(s, statement, x.source(s.X)+op)
		case *ast.DeferStmt:
			x.add(s, statement, x.source(s.Call))
		case *ast.ExprStmt:
			if strings.HasPrefix(x.source(s.X), "assertLocked(") {
				continue // does nothing, but for the explorer
			}
		case *ast.ForStmt:
			if s.Cond != nil {
				continue // as for if
			}
		case *ast.SelectStmt:
			x.clauses(s, s.Body.List)
		case *ast.SwitchStmt:
			x.clauses(s, s.Body.List)
		case *ast.TypeSwitchStmt:
			x.clauses(s, s.Body.List)
		}
		x.add(stmt, statement, "")
	}
}

// clauses drops each clause of a switch or a select.
func (x *finder) clauses(stmt ast.Stmt, clauses []ast.Stmt) {
	for _, clause := range clauses {
		from, to := x.offset(clause.Pos()), x.offset(clause.End())
		m := x.add(stmt, statement, x.text[x.offset(stmt.Pos()):from]+x.text[to:x.offset(stmt.End())])
		m.show(x.file, from, to, "")
	}
}

// assign drops each of several assignments in one statement, and takes += for
// -= and the other way round.
func (x *finder) assign(s *ast.AssignStmt) {
	switch s.Tok {
	case token.ADD_ASSIGN:
		x.add(s, statement, x.source(s.Lhs[0])+" -= "+x.source(s.Rhs[0]))
	case token.SUB_ASSIGN:
		x.add(s, statement, x.source(s.Lhs[0])+" += "+x.source(s.Rhs[0]))
	}
	if len(s.Lhs) == 1 || len(s.Lhs) != len(s.Rhs) {
		return
	}
	for dropped := range s.Lhs {
		var left, right []string
		for i := range s.Lhs {
			if i != dropped {
				left = append(left, x.source(s.Lhs[i]))
				right = append(right, x.source(s.Rhs[i]))
			}
		}
		x.add(s, statement, strings.Join(left, ", ")+" = "+strings.Join(right, ", "))
	}
}

// binary adds the mutants of an operator.
func (x *finder) binary(n *ast.BinaryExpr) {
	with := func(op string) { x.add(n, expression, x.source(n.X)+" "+op+" "+x.source(n.Y)) }
	switch n.Op {
	case token.LAND, token.LOR:
		x.truth(n)
		x.add(n, expression, x.source(n.X))
		x.add(n, expression, x.source(n.Y))
		x.implied[ast.Unparen(n.X)], x.implied[ast.Unparen(n.Y)] = true, true
	case token.LSS:
		with("<=")
		x.truth(n)
	case token.LEQ:
		with("<")
		x.truth(n)
	case token.GTR:
		with(">=")
		x.truth(n)
	case token.GEQ:
		with(">")
		x.truth(n)
	case token.EQL, token.NEQ:
		x.truth(n)
	case token.ADD:
		with("-")
	case token.SUB:
		with("+")
	}
}

// truth replaces a condition by true and by false.
func (x *finder) truth(cond ast.Expr) {
	if x.implied[cond] {
		return
	}
	x.add(cond, expression, "true")
	x.add(cond, expression, "false")
}

// add adds a mutant unless it is there. What is a constant for the compiler
// stays.
func (x *finder) add(node ast.Node, kind kind, text string) *mutant {
	m := &mutant{
		start: x.offset(node.Pos()),
		end:   x.offset(node.End()),
		text:  text,
		kind:  kind,
	}
	if expr, ok := node.(ast.Expr); ok {
		m.result = types.TypeString(types.Default(x.info.TypeOf(expr)), types.RelativeTo(x.types))
	}
	m.File, m.Func = x.name, x.fn
	m.show(x.file, m.start, m.end, text)
	for _, old := range x.mutants {
		if old.start == m.start && old.end == m.end && old.text == text {
			return m
		}
	}
	x.mutants = append(x.mutants, m)
	return m
}

// show tells the change as it is shown: what is between start and end becomes
// text.
func (m *mutant) show(f *file, start, end int, text string) {
	from := strings.LastIndexByte(f.text[:start], '\n') + 1
	line, _, _ := strings.Cut(f.text[from:], "\n")
	m.Old = strings.TrimSpace(line)
	after, _, _ := strings.Cut(text, "\n")
	if end < from+len(line) {
		after += line[end-from:]
	}
	m.New = strings.TrimSpace(line[:start-from] + after)
	if strings.HasPrefix(m.New, "//") {
		m.New = ""
	}
	m.line = 1 + strings.Count(f.text[:start], "\n")
}

// source is the text of a node.
func (x *finder) source(node ast.Node) string {
	return x.text[x.offset(node.Pos()):x.offset(node.End())]
}

// change is a mutant as a person sees it, and as equivalent.txt names it: by
// content, because lines get other numbers.
type change struct {
	File, Func string
	Old, New   string // the first line that changes, before and after
}

func (c change) String() string {
	text := fmt.Sprintf("%s %s\n- %s\n", c.File, c.Func, c.Old)
	if c.New != "" {
		text += fmt.Sprintf("+ %s\n", c.New)
	}
	return text
}
