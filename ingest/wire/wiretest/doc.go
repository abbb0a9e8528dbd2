// Package wiretest writes protobuf messages for tests of decoders: as no encoder
// would write them, but as the generated code accepts them. Tests compare the two.
package wiretest
