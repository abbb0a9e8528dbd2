package envoy.authz_test

test_allows if data.envoy.authz.allow with input as {}
