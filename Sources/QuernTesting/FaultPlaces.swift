// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The places of a test that goes through all where something can go wrong. In the suite each run takes a share of
/// them, others each time; with `QUERN_SIMULATIONS`, which `make simulate` sets, all.
package enum FaultPlaces {
    package static let areAllTaken = getenv("QUERN_SIMULATIONS") != nil
    private static let lot = Int.random(in: 0..<1 << 20)

    package static func takes(_ place: Int, oneIn share: Int) -> Bool {
        areAllTaken || (place + lot).isMultiple(of: share)
    }
}
