// SPDX-License-Identifier: Apache-2.0

/// What recovery does at one place of a log segment: the whole rule, as a table (S6, F11 to F14).
///
/// | row | segment | at this place | a later frame vouches for it | decision |
/// |---|---|---|---|---|
/// | valid | any | a frame with right checksums that continues the chain | - | apply it |
/// | end | with a successor | exactly where the successor says that it ends | - | next segment |
/// | broken | with a successor | anything else before that | - | damaged |
/// | misplaced | any | a valid frame that continues another chain | - | damaged |
/// | clean | last | no bytes, or zeros up to the end of the file | no | end of the log |
/// | torn | last | bytes that are no valid frame | no | end of the log, rest reported |
/// | lost | last | zeros or no valid frame | yes | damaged |
///
/// A later frame vouches for a place when it says that the file was durable beyond it when the frame was written.
enum TailDecision: Equatable {
    case apply
    case nextSegment
    case endOfLog(torn: Bool)
    case damaged(String)

    /// What stands at the place.
    enum Found {
        case frame
        case frameOfAnotherChain
        case zeros
        case otherBytes
        /// The end that the next segment's header names, or the end of the file.
        case end
    }

    static func decide(isLast: Bool, found: Found, isVouchedFor: Bool) -> TailDecision {
        switch (isLast, found, isVouchedFor) {
        case (_, .frame, _): .apply
        case (_, .frameOfAnotherChain, _): .damaged("a frame does not continue the one before it")
        case (false, .end, _): .nextSegment
        case (false, _, _): .damaged("no valid frame in a segment that others follow")
        case (true, _, true): .damaged("no valid frame where the log was known to be on disk")
        case (true, .end, false), (true, .zeros, false): .endOfLog(torn: false)
        case (true, .otherBytes, false): .endOfLog(torn: true)
        }
    }
}
