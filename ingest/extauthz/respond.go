package extauthz

import (
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc/codes"
)

// response returns a judgement as a CheckResponse. An allowance that cannot be
// carried out changes its outcome.
func (s *Server) response(c *check, j *judgement) []byte {
	l := c.listener
	if j.failed != "" {
		return failure(c, j).response(j.ID)
	}
	if j.refused != "" {
		r := &rendered{meta: appendMetadata(nil, metaError, stringValue("unreadable "+string(j.refused)))}
		r.head = appendStatus(nil, false)
		if l == mesh.ListenerExtAuthzHTTP {
			r.head = wire.AppendMessage(r.head, responseDenied, r.denied(&mesh.Verdict{Status: 400}))
		}
		return r.response(j.ID)
	}
	r := s.render(j.Verdict, l)
	if j.Allowed && !r.allowed {
		j.outcome = outcomeRefused
	}
	if r.allowed && len(j.Charges) > 0 {
		return s.charged(c, j, r)
	}
	return r.response(j.ID)
}

// render returns what the verdict comes to, made once.
func (s *Server) render(v *mesh.Verdict, l mesh.Listener) *rendered {
	if r, ok := v.Rendered[l].Load().(*rendered); ok {
		s.countRefused(r)
		return r
	}
	r := render(v, l)
	v.Rendered[l].Store(r)
	s.countRefused(r)
	return r
}

func (s *Server) countRefused(r *rendered) {
	for _, reason := range r.refused {
		s.m.results.WithLabelValues(reason).Inc()
	}
}

// failure returns the answer to a request that was not judged.
func failure(c *check, j *judgement) *rendered {
	r := &rendered{meta: appendMetadata(nil, metaError, stringValue(j.failed))}
	http := c.listener == mesh.ListenerExtAuthzHTTP
	switch j.onError {
	case OnErrorAllow:
		r.head = appendStatus(nil, true)
		if http {
			r.head = wire.AppendMessage(r.head, responseOK, nil)
		}
	case OnErrorDeny:
		r.head = appendStatus(nil, false)
		if http {
			r.head = wire.AppendMessage(r.head, responseDenied, r.denied(&mesh.Verdict{Status: c.ErrorStatus}))
		}
	default:
		r.head = wire.AppendMessage(nil, responseStatus, wire.AppendVarint(nil, 1, uint64(codes.Unavailable)))
		r.head = wire.AppendMessage(r.head, responseError, r.denied(&mesh.Verdict{Status: c.ErrorStatus}))
	}
	return r
}
