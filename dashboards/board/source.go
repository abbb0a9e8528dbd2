package board

// Source is a data source, named by the variable that chooses it.
type Source struct{ Type, Variable string }

// The data sources of Tallygate's boards.
var (
	Prometheus = Source{"prometheus", "datasource"}
	Jaeger     = Source{"jaeger", "jaeger"}
)

func (s Source) ref() obj { return obj{"type": s.Type, "uid": "${" + s.Variable + "}"} }
