// SPDX-License-Identifier: Apache-2.0
import CLZ4

/// LZ4 block format through the system's liblz4.
enum LZ4 {
    /// Appends the compressed form of `source` and returns true, or appends nothing where it would not be smaller by a
    /// sixteenth: less is not worth the decoding.
    ///
    /// LZ4 is its own quick test whether compression pays (S9): where it finds no match it takes ever longer steps, so
    /// that it leaves 1 MiB of random bytes in less time than it takes to copy them.
    ///
    /// - Parameter acceleration: above 1 it looks at fewer places: it is faster, and leaves out short matches.
    static func compress(
        _ source: UnsafeRawBufferPointer, acceleration: CInt = 1, into writer: inout ByteWriter
    ) -> Bool {
        // Below 13 bytes the format cannot compress at all.
        guard source.count > 12, source.count <= Limits.frameBytes else { return false }
        let start = writer.count
        writer.append(upTo: source.count - max(1, source.count / 16)) { target in
            let written = LZ4_compress_fast(
                source.baseAddress!.assumingMemoryBound(to: CChar.self),
                target.baseAddress!.assumingMemoryBound(to: CChar.self),
                CInt(source.count), CInt(target.count), acceleration)
            return Int(max(written, 0))
        }
        return writer.count > start
    }

    /// Fills `target` from the compressed bytes. Throws unless they decode to exactly its length; or to at least that,
    /// when they are known to be `whole` bytes and `target` takes only the first of them.
    static func decompress(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, of whole: Int? = nil
    ) throws(DecodingFailure) {
        guard !source.isEmpty, !target.isEmpty else { throw DecodingFailure("empty compressed section") }
        let from = source.baseAddress!.assumingMemoryBound(to: CChar.self)
        let to = target.baseAddress!.assumingMemoryBound(to: CChar.self)
        let count = CInt(target.count)
        let written =
            if let whole, whole > target.count {
                LZ4_decompress_safe_partial(from, to, CInt(source.count), count, count)
            } else {
                LZ4_decompress_safe(from, to, CInt(source.count), count)
            }
        guard written == count else { throw DecodingFailure("compressed bytes do not decode") }
    }

    /// Whether `stored` bytes can decode to `raw` bytes at all: the format's ratio is below 255 (F30).
    static func isPlausible(raw: Int, stored: Int) -> Bool { raw <= 255 * stored + 64 }
}
