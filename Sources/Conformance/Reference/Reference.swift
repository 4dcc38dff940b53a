/// Every operation as its formula reads: one scalar loop in double precision after another.
///
/// The results are what the fast paths of all backends are compared with.
enum Reference {}
