package opa

import "strings"

// class says what the result of a built-in function rests on beside its
// arguments.
type class uint8

const (
	unknown class = iota // not in the table
	pure                 // nothing
	token                // decodes a token: its nbf and exp bound the result
	clock                // the time
	random               // chance
	outside              // network or process
)

func (c class) String() string {
	return [...]string{"unknown", "pure", "token", "the clock", "chance", "the outside"}[c]
}

// classes holds every built-in of OPA. OPA's own mark for non-determinism is
// not enough: crypto.x509.parse_and_verify_certificates reads the clock without
// it. What is not here counts as the outside.
//
// io.jwt.decode_verify reads the clock only to compare it with nbf and exp of
// the token, and its result changes only there. The schema functions fetch
// nothing, because the capabilities permit no host.
var classes = classify(map[class]string{
	token:   `io.jwt.decode io.jwt.decode_verify`,
	clock:   `time.now_ns crypto.x509.parse_and_verify_certificates crypto.x509.parse_and_verify_certificates_with_options`,
	random:  `rand.intn uuid.rfc4122 io.jwt.encode_sign io.jwt.encode_sign_raw`,
	outside: `http.send opa.runtime net.lookup_ip_addr`,
	pure: `
		eq assign equal neq gt gte lt lte internal.member_2 internal.member_3 internal.template_string
		plus minus mul div ceil floor round abs rem
		bits.or bits.and bits.negate bits.xor bits.lsh bits.rsh
		and or count sum product max min any all sort
		array.concat array.flatten array.slice array.reverse
		to_number cast_object cast_null cast_boolean cast_string cast_set cast_array
		regex.is_valid regex.match re_match regex.split regex.globs_match regex.template_match regex.find_n
		regex.find_all_string_submatch_n regex.replace
		set_diff intersection union
		strings.any_prefix_match strings.any_suffix_match strings.count strings.split_n strings.replace_n
		strings.reverse strings.render_template
		concat format_int indexof indexof_n substring lower upper contains startswith endswith split replace
		trim trim_left trim_prefix trim_right trim_suffix trim_space sprintf
		numbers.range numbers.range_step
		json.marshal json.marshal_with_options json.unmarshal json.is_valid json.filter json.remove json.patch
		json.verify_schema json.match_schema
		base64.encode base64.decode base64.is_valid base64url.encode base64url.encode_no_pad base64url.decode
		urlquery.decode urlquery.encode urlquery.encode_object urlquery.decode_object uri.parse uri.is_valid
		yaml.marshal yaml.unmarshal yaml.is_valid hex.encode hex.decode
		object.union object.union_n object.remove object.filter object.get object.keys object.subset
		io.jwt.verify_rs256 io.jwt.verify_rs384 io.jwt.verify_rs512 io.jwt.verify_ps256 io.jwt.verify_ps384
		io.jwt.verify_ps512 io.jwt.verify_es256 io.jwt.verify_es384 io.jwt.verify_es512 io.jwt.verify_eddsa
		io.jwt.verify_hs256 io.jwt.verify_hs384 io.jwt.verify_hs512
		time.parse_ns time.parse_rfc3339_ns time.parse_duration_ns time.format time.date time.clock time.weekday
		time.add_date time.diff
		crypto.x509.parse_certificates crypto.x509.parse_certificate_request crypto.x509.parse_rsa_private_key
		crypto.x509.parse_keypair crypto.parse_private_keys crypto.md5 crypto.sha1 crypto.sha256
		crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 crypto.hmac.equal
		walk graph.reachable graph.reachable_paths
		is_number is_string is_boolean is_array is_set is_object is_null type_name
		graphql.parse graphql.parse_and_verify graphql.parse_query graphql.parse_schema graphql.is_valid
		graphql.schema_is_valid
		providers.aws.sign_req rego.parse_module rego.metadata.chain rego.metadata.rule trace
		net.cidr_overlap net.cidr_intersects net.cidr_contains net.cidr_contains_matches net.cidr_expand
		net.cidr_merge net.cidr_is_valid
		glob.match glob.quote_meta units.parse units.parse_bytes uuid.parse semver.is_valid semver.compare
		print internal.print internal.test_case`,
})

func classify(names map[class]string) map[string]class {
	m := map[string]class{}
	for c, list := range names {
		for name := range strings.FieldsSeq(list) {
			m[name] = c
		}
	}
	return m
}
