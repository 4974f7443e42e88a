package proof_test
import ("testing";"fmt";"strings")
func TestTmpOld(t *testing.T) {
	n, bad := 0, map[kind]int{}
	shown := map[kind]int{}
	for seed := range 6000 {
		c := choicesOf(seed)
		s := scenarioOf("x", c)
		s.hooks, s.discards, s.spoiled, s.wakes, s.again = nil, false, none, false, false
		s.cleanup, s.cleaned = 0, succeeds
		if s.breaks != none || !s.predict().useful() || s.detach && !s.recovers { continue }
		n++
		o := s.predict()
		p := s.perform(t)
		for i := range p.lines { p.lines[i].what = strings.ReplaceAll(p.lines[i].what, "panic of <nil>", "panic") }
		for i := range o.lines { for k := range 9 {o.lines[i].what = strings.ReplaceAll(o.lines[i].what, fmt.Sprintf("panic of %d",k), "panic") }}
		d := o.diff(&p.history)
		for line := range strings.SplitSeq(d, "\n") { _ = line }
		if d != "" { bad[s.kind]++; if shown[s.kind] < 2 {shown[s.kind]++; fmt.Printf("%v\n%s\n%s\n", s, d, p.wrongs()) }}
	}
	fmt.Println(n, bad)
}
