// SPDX-License-Identifier: Apache-2.0

extension StoreLoader.Tail {
    /// Applies the frames that the scan found good: what recovery does to its state, and a reader to its own.
    ///
    /// - Parameter takeBlocks: called after each frame, to move the blocks that are full out of the state.
    func replay(
        into state: inout StoreState, openLimit: Int, takeBlocks: (inout StoreState) throws(StoreError) -> Void
    ) throws(StoreError) {
        defer { withExtendedLifetime(mapping) {} }
        let seed = header.identity.seed
        var offset = Int(start.offset)
        while offset < Int(scan.end.offset) {
            do throws(DecodingFailure) {
                guard
                    let frame = FrameHeader(mapping.bytes, at: offset, segment: number, seed: seed),
                    let stored = frame.body(in: mapping.bytes, seed: seed)
                else { throw DecodingFailure("a frame changed while it was read") }
                var changes = ChangeCollector()
                let body = try frame.decoded(stored)
                try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                    try state.apply(bytes, segment: number, frameOffset: UInt64(offset), changes: &changes)
                }
                offset += frame.totalLength
                if frame.kind == .commit { state.finishBatch(openLimit: openLimit) }
            } catch {
                throw StoreError(.damaged, error.reason, file: path, offset: offset)
            }
            try takeBlocks(&state)
        }
    }
}
