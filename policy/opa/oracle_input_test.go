package opa

// input returns a random input.
func (g *generator) input() map[string]any {
	m := map[string]any{}
	for _, k := range tops {
		if !g.one(6) {
			m[k] = g.any(3)
		}
	}
	if v, ok := m[g.pick(tops)]; ok && g.one(3) { // what is the same in two places
		m[g.pick(tops)] = v
	}
	return m
}

func (g *generator) any(depth int) any {
	n := g.IntN(20)
	if depth == 0 {
		n = g.IntN(5)
	}
	switch n {
	case 0:
		return jsonNumber(g.pick([]string{"0", "1"}))
	case 1:
		return g.one(3)
	case 2:
		return g.pick(keys)
	case 3:
		return g.pick([]string{"a", "b", "calls", "gets"}) // also rules of lib
	case 4:
		return nil
	case 5, 6, 7:
		s := []any{}
		for range g.IntN(4) {
			s = append(s, g.any(depth-1))
		}
		return s
	default:
		m := map[string]any{}
		for _, k := range keys {
			if !g.one(6) {
				m[k] = g.any(depth - 1)
			}
		}
		if g.one(5) {
			m[g.pick([]string{"0", "1"})] = g.any(depth - 1)
		}
		return m
	}
}
