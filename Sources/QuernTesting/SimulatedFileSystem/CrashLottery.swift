// SPDX-License-Identifier: Apache-2.0

/// Draws, from a seed, what a power loss leaves of the unsynced changes.
struct CrashLottery: CrashChoice {
    static let sectorSize = 512

    private var generator: SeededGenerator
    private let tearing: CrashPolicy.Tearing

    init(seed: UInt64, tearing: CrashPolicy.Tearing) {
        generator = SeededGenerator(seed: seed)
        self.tearing = tearing
    }

    mutating func draw(_ changes: [SimulatedFileContent.Change], onto bytes: inout SimulatedBytes) {
        guard !changes.isEmpty else { return }
        switch generator.below(4) {
        case 0:
            for change in changes { change.apply(to: &bytes) }
        case 1:
            break
        case 2:
            let kept = generator.below(changes.count)
            for change in changes[..<kept] { change.apply(to: &bytes) }
            drawTorn(changes[kept], onto: &bytes)
        default:
            for change in changes { drawAlone(change, onto: &bytes) }
        }
    }

    private mutating func drawAlone(_ change: SimulatedFileContent.Change, onto bytes: inout SimulatedBytes) {
        switch generator.below(3) {
        case 0: change.apply(to: &bytes)
        case 1: drawTorn(change, onto: &bytes)
        default: drawLength(change, onto: &bytes)
        }
    }

    /// The length of a file can reach the disk before the bytes: they are zeros then.
    private mutating func drawLength(_ change: SimulatedFileContent.Change, onto bytes: inout SimulatedBytes) {
        if case .write(let content, let offset) = change, generator.coin() {
            bytes.extend(to: offset + content.count)
        }
    }

    private mutating func drawTorn(_ change: SimulatedFileContent.Change, onto bytes: inout SimulatedBytes) {
        guard case .write(let content, let offset) = change, tearing != .never else {
            if generator.coin() { change.apply(to: &bytes) }
            return
        }
        let pieces = pieces(of: offset..<offset + content.count)
        // Either the beginning is there, as a disk writes in order, or any pieces.
        let kept = generator.coin() ? generator.below(pieces.count + 1) : nil
        for (index, piece) in pieces.enumerated() where kept.map({ index < $0 }) ?? generator.coin() {
            content.withUnsafeBytes { content in
                let part = content[piece.lowerBound - offset..<piece.upperBound - offset]
                bytes.write(UnsafeRawBufferPointer(rebasing: part), at: piece.lowerBound)
            }
        }
        drawLength(change, onto: &bytes)
    }

    /// The parts of a write that reach the disk or not, each by itself.
    private mutating func pieces(of range: Range<Int>) -> [Range<Int>] {
        var cuts: Set<Int> = [range.upperBound]
        let size = Self.sectorSize
        cuts.formUnion(stride(from: (range.lowerBound / size + 1) * size, to: range.upperBound, by: size))
        if tearing == .bytes, range.count > 1 { cuts.insert(range.lowerBound + 1 + generator.below(range.count - 1)) }
        var start = range.lowerBound
        return cuts.sorted().map { cut in
            defer { start = cut }
            return start..<cut
        }
    }

    mutating func draw(_ changes: [SimulatedNames.Change]) -> [Bool] {
        switch generator.below(4) {
        case 0:
            return changes.map { _ in true }
        case 1:
            return changes.map { _ in false }
        case 2:
            let kept = generator.below(changes.count + 1)
            return changes.indices.map { $0 < kept }
        default:
            return SimulatedNames.completing(changes, changes.map { _ in generator.coin() })
        }
    }
}
