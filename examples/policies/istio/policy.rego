# Istio's AuthorizationPolicy objects, as kubectl prints them, judged as Istio
# does: so that they can be tested, compared (policy diff) and tried on live traffic
# (policy.shadow) before istiod gets them, or used where there is none.
package envoy.authz

import data.tallygate.istio

decision := istio.judge(prepared, istio.attributes)

# This rests on data alone and is worked out once.
prepared := istio.prepare(istio.for_workload(data.policies, data.workload))

allow := {
	"allowed": decision.allowed,
	"reason": decision.reason,
	"dynamic_metadata": {"audited": sort(decision.audited)},
}
