// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// A whole manifest with right checksums.
enum ManifestDecoder: FuzzDecoder {
    static func run(_ bytes: UnsafeRawBufferPointer) {
        _ = try? FileHeader(bytes)
        _ = try? Manifest(bytes)
        var copy = Array(bytes)
        Checksums.correct(fileHeader: &copy)
        let header = copy.withUnsafeBytes { try? FileHeader($0, for: .reading) }
        guard let header else { return }
        let segment = UInt32(truncatingIfNeeded: header.number)
        Checksums.correct(
            frameIn: &copy, at: FileHeader.size, seed: header.identity.seed, segment: segment, previous: nil)
        guard let manifest = copy.withUnsafeBytes({ try? Manifest($0) }) else { return }
        let again = manifest.header.encoded() + manifest.encodedFrame()
        let second = again.withUnsafeBytes { try? Manifest($0) }
        expect(second == manifest, "a manifest and what is written of it")
    }

    static func seeds(_ golden: GoldenFiles) -> [[UInt8]] {
        golden.files.filter { $0.header.kind == .manifest || $0.store == "small" }.map(\.bytes)
    }
}
